/**
 * Drivers with one fault each, as a careless author might write them. The suite has to find every one: `caught` is
 * the title of a test that must fail.
 */

import { memoryDriver } from '../../packages/holdfast/src/drivers/memory.ts'
import { ends } from './sabotages/ends.ts'
import { listings } from './sabotages/listings.ts'
import { reads } from './sabotages/reads.ts'
import type { Sabotage } from './sabotages/sabotage.ts'
import { touchesAndBatches } from './sabotages/touches.ts'
import { writes } from './sabotages/writes.ts'

export { type Sabotage, sabotaged } from './sabotages/sabotage.ts'

/** Faults that need a driver of another make than the one that is wrapped. */
const common = memoryDriver({ namespace: 'common' })
const apart: Record<string, Sabotage> = {
  'all namespaces are one': {
    caught: /keeps the records of one namespace from another/,
    breaks: () => ({
      create: (record, call) => common.create(record, call),
      read: (keys, options, call) => common.read(keys, options, call),
      replace: (replacement, call) => common.replace(replacement, call),
    }),
  },
  'capabilities are declared without their tools': {
    caught: /was given to the suite with what is needed/,
    breaks: (driver) => ({
      async open(call) {
        const opened = await driver.open(call)
        const durable = { process: true, machine: true, failover: true }
        return { ...opened, capabilities: { ...opened.capabilities, shared: true, durable } }
      },
    }),
  },
}

export const sabotages: Readonly<Record<string, Sabotage>> = {
  ...writes,
  ...touchesAndBatches,
  ...reads,
  ...listings,
  ...ends,
  ...apart,
}
