/** What a sabotage is, and what several of them need. */

import type { Call, Driver } from '../../../packages/holdfast/src/store/contract.ts'
import type { StoredRecord } from '../../../packages/holdfast/src/store/record.ts'

export interface Sabotage {
  readonly caught: RegExp
  readonly breaks: (driver: Driver) => Partial<Driver>
}

/** The driver, with some of its methods exchanged. */
export function sabotaged(driver: Driver, { breaks }: Sabotage): Driver {
  return {
    open: (call) => driver.open(call),
    create: (record, call) => driver.create(record, call),
    replace: (replacement, call) => driver.replace(replacement, call),
    touch: (touches, call) => driver.touch(touches, call),
    read: (keys, options, call) => driver.read(keys, options, call),
    write: (operations, call) => driver.write(operations, call),
    list: (listing, call) => driver.list(listing, call),
    count: (counting, call) => driver.count(counting, call),
    scan: (slice, call) => driver.scan(slice, call),
    sweep: (sweeping, call) => driver.sweep(sweeping, call),
    remove: (keys, call) => driver.remove(keys, call),
    watch: (listener, call) => driver.watch(listener, call),
    close: () => driver.close(),
    ...breaks(driver),
  }
}

export const earlier = (call: Call): Call => ({ now: call.now - 1, signal: call.signal })
export const later = (call: Call): Call => ({ now: call.now + 1, signal: call.signal })
export const systemTime = (call: Call): Call => ({ now: Date.now(), signal: call.signal })

/** What the driver holds under the key, also if it has expired. */
export async function held(
  driver: Driver,
  replacement: { readonly key: StoredRecord['key'] },
  call: Call,
): Promise<StoredRecord | undefined> {
  const [record] = await driver.read([replacement.key], { expired: true, strict: true }, call)
  return record
}
