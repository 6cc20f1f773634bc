/** What the model does to a store: a command per operation of the contract, and what happens around them. */

import type { Arbitrary, FastCheck } from './fast-check.ts'
import type { Command } from './model.ts'
import { faultCommand, moveCommand, reopenCommand } from './commands/around.ts'
import { countCommand, listCommand, pageCommand, readCommand, scanCommand } from './commands/reads.ts'
import {
  createCommand,
  replaceCommand,
  removeCommand,
  sweepCommand,
  touchCommand,
  writeCommand,
} from './commands/writes.ts'

/** Every kind of command. Those that change something are named more than once, which makes them more frequent. */
export function commandsFor(fc: FastCheck, faults: boolean): Arbitrary<Command>[] {
  const writes = [createCommand(fc), replaceCommand(fc), touchCommand(fc), writeCommand(fc)]
  const reads = [readCommand(fc), listCommand(fc), countCommand(fc), scanCommand(fc)]
  const rest = [sweepCommand(fc), removeCommand(fc), moveCommand(fc), reopenCommand(fc)]
  const all = [
    ...writes,
    createCommand(fc),
    replaceCommand(fc),
    ...reads,
    readCommand(fc),
    ...rest,
    moveCommand(fc),
  ]
  // A listing over several steps is only followed where it is certain what is stored.
  return faults ? [...all, faultCommand(fc), faultCommand(fc)] : [...all, pageCommand(fc)]
}
