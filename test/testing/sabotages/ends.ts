/** Faults of sweeping, removing and watching. */

import type { Driver, Operation } from '../../../packages/holdfast/src/store/contract.ts'
import type { StoredRecord } from '../../../packages/holdfast/src/store/record.ts'
import type { Sabotage } from './sabotage.ts'

export const ends: Readonly<Record<string, Sabotage>> = {
  'sweep leaves what expired exactly at the time (< for ≤)': {
    caught: /nothing a millisecond earlier/,
    breaks: (driver) => ({
      sweep: (sweeping, call) => driver.sweep({ ...sweeping, before: sweeping.before - 1 }, call),
    }),
  },
  'sweep does not wait for the margin': {
    caught: /nothing a millisecond earlier/,
    breaks: (driver) => ({
      sweep: (sweeping, call) => driver.sweep({ ...sweeping, before: call.now }, call),
    }),
  },
  'sweep goes by a list of expiries that writes do not keep up': {
    caught: /goes by the expiry of now/,
    breaks: staleSweep,
  },
  'sweep says nothing': {
    caught: /each answered once/,
    breaks: (driver) => ({
      async sweep(sweeping, call) {
        const batch = await driver.sweep(sweeping, call)
        return { ...batch, removed: [] }
      },
    }),
  },
  'sweep says what it did without labels': {
    caught: /tells what it removed/,
    breaks: (driver) => ({
      async sweep(sweeping, call) {
        const batch = await driver.sweep(sweeping, call)
        return { ...batch, removed: batch.removed.map((each) => ({ ...each, labels: [] })) }
      },
    }),
  },
  'sweep stops after one batch': {
    caught: /each answered once/,
    breaks: (driver) => ({
      async sweep(sweeping, call) {
        const { removed } = await driver.sweep(sweeping, call)
        return { removed }
      },
    }),
  },
  'sweep never comes to an end': {
    caught: /each answered once|when nothing has expired/,
    breaks: (driver) => ({
      async sweep(sweeping, call) {
        return { next: 'more', ...(await driver.sweep(sweeping, call)) }
      },
    }),
  },
  'sweep takes more than its limit': {
    caught: /each answered once/,
    breaks: (driver) => ({ sweep: (sweeping, call) => driver.sweep({ ...sweeping, limit: 1_000 }, call) }),
  },
  'two sweepers answer with the same records': {
    caught: /at most one of the sweepers/,
    breaks: (driver) => {
      let last: Awaited<ReturnType<Driver['sweep']>>['removed'] = []
      return {
        async sweep(sweeping, call) {
          const batch = await driver.sweep(sweeping, call)
          const answered = batch.removed.length > 0 ? batch : { ...batch, removed: last.slice(0, 1) }
          last = batch.removed
          return answered
        },
      }
    },
  },
  'remove keeps the expired': {
    caught: /removes whatever the keys hold/,
    breaks: (driver) => ({
      async remove(keys, call) {
        const live = await driver.read(keys, { expired: false, strict: true }, call)
        await driver.remove(
          keys.filter((_, i) => live[i]),
          call,
        )
      },
    }),
  },
  'watch says nothing of removals': {
    caught: /tells of every create, replace and remove/,
    breaks: (driver) => quietDuring(driver, 'remove'),
  },
  'watch says nothing of sweeps': {
    caught: /tells of what a sweep removes/,
    breaks: (driver) => quietDuring(driver, 'sweep'),
  },
  'watch says nothing of batches': {
    caught: /tells of each write of a batch/,
    breaks: (driver) => quietDuring(driver, 'write'),
  },
  'watch tells of touches': {
    caught: /says nothing of touches/,
    breaks: (driver) => {
      const listeners: Parameters<Driver['watch']>[0][] = []
      return {
        async touch(touches, call) {
          for (const listener of listeners) listener({ type: 'changed', keys: touches.map(({ key }) => key) })
          return await driver.touch(touches, call)
        },
        watch(listener, call) {
          listeners.push(listener)
          return driver.watch(listener, call)
        },
      }
    },
  },
  'watch marks before it has told': {
    caught: /before a mark set after it/,
    breaks: (driver) => ({
      watch: (listener, call) =>
        driver.watch((change) => {
          setTimeout(() => {
            listener(change)
          }, 5).unref()
        }, call),
    }),
  },
  'watch goes on after it was closed': {
    caught: /until it is closed/,
    breaks: (driver) => ({
      async watch(listener, call) {
        const watch = await driver.watch(listener, call)
        return { mark: () => watch.mark(), close: () => undefined }
      },
    }),
  },
}

/** Notes expiries at creation only, and removes by that list without looking again. */
function staleSweep(driver: Driver): Partial<Driver> {
  const expiries = new Map<string, StoredRecord>()
  const note = (operation: Operation): void => {
    if (operation.type === 'create') expiries.set(operation.record.key.id, operation.record)
  }
  return {
    create(record, call) {
      if (!expiries.has(record.key.id)) note({ type: 'create', record })
      return driver.create(record, call)
    },
    async sweep({ before }, call) {
      const removed = [...expiries.values()].filter(({ expiresAt }) => expiresAt <= before)
      await driver.remove(
        removed.map(({ key }) => key),
        call,
      )
      for (const { key } of removed) expiries.delete(key.id)
      return { removed: removed.map(({ key, labels, expiresAt }) => ({ key, labels, expiresAt })) }
    },
  }
}

/** Tells watchers nothing of what one operation does. */
function quietDuring(driver: Driver, operation: 'remove' | 'sweep' | 'write'): Partial<Driver> {
  let quiet = false
  const hushed = async <T>(run: () => T): Promise<Awaited<T>> => {
    quiet = true
    try {
      return await run()
    } finally {
      quiet = false
    }
  }
  const hushes = {
    remove: { remove: (keys, call) => hushed(() => driver.remove(keys, call)) },
    sweep: { sweep: (sweeping, call) => hushed(() => driver.sweep(sweeping, call)) },
    write: { write: (operations, call) => hushed(() => driver.write(operations, call)) },
  } satisfies Record<string, Partial<Driver>>
  return {
    ...hushes[operation],
    watch: (listener, call) =>
      driver.watch((change) => {
        if (!quiet) listener(change)
      }, call),
  }
}
