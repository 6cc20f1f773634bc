/** Faults of listing, counting and scanning. */

import type { Call, Driver, Listing, Page } from '../../../packages/holdfast/src/store/contract.ts'
import { carries, type Label, type StoredRecord } from '../../../packages/holdfast/src/store/record.ts'
import { earlier, later, type Sabotage } from './sabotage.ts'

export const listings: Readonly<Record<string, Sabotage>> = {
  'list begins each page with the last record of the one before': {
    caught: /exactly once/,
    breaks: (driver) => {
      let last: StoredRecord | undefined
      return {
        async list(listing, call) {
          const page = await driver.list(listing, call)
          const repeated = listing.after !== undefined && last ? [last] : []
          last = page.records.at(-1)
          return { ...page, records: [...repeated, ...page.records].slice(0, listing.limit) }
        },
      }
    },
  },
  'list leaves out a record between two pages': {
    caught: /exactly once/,
    breaks: (driver) => ({
      async list(listing, call) {
        const page = await driver.list(listing, call)
        return listing.after === undefined ? page : { ...page, records: page.records.slice(1) }
      },
    }),
  },
  'list counts its pages from the start (offsets)': {
    caught: /stays complete while records come and go/,
    breaks: (driver) => ({
      async list({ after, ...listing }, call) {
        if (after !== undefined && !/^\d+$/.test(after)) return await driver.list({ after, ...listing }, call)
        const all = (await listEvery(driver, listing, call)).filter(({ labels }) =>
          carries(labels, listing.labels),
        )
        const start = Number(after ?? 0)
        const end = start + listing.limit
        return { records: all.slice(start, end), ...(end < all.length ? { next: String(end) } : {}) }
      },
    }),
  },
  'list never ends': {
    caught: /pages|direction|exactly once|finds/,
    breaks: (driver) => ({
      async list(listing, call) {
        const page = await driver.list(listing, call)
        return { ...page, next: page.next ?? 'a' }
      },
    }),
  },
  'list ends early': {
    caught: /exactly once/,
    breaks: (driver) => ({
      async list(listing, call) {
        const { records } = await driver.list(listing, call)
        return { records }
      },
    }),
  },
  'list orders ids without case': {
    caught: /orders ids by their bytes/,
    breaks: (driver) => ({
      async list(listing, call) {
        const page = await driver.list(listing, call)
        return { ...page, records: page.records.toSorted((a, b) => a.key.id.localeCompare(b.key.id)) }
      },
    }),
  },
  'list only ascends': {
    caught: /in both directions/,
    breaks: (driver) => ({ list: (listing, call) => driver.list({ ...listing, reverse: false }, call) }),
  },
  'list finds what carries any of the labels': {
    caught: /carries all of the labels/,
    breaks: (driver) => ({
      list: (listing, call) => driver.list({ ...listing, labels: listing.labels.slice(0, 1) }, call),
    }),
  },
  'list always sends the values': {
    caught: /spares the values/,
    breaks: (driver) => ({ list: (listing, call) => driver.list({ ...listing, values: true }, call) }),
  },
  'list never sends the values': {
    caught: /answers with whole records/,
    breaks: (driver) => ({ list: (listing, call) => driver.list({ ...listing, values: false }, call) }),
  },
  'list hides the expired one millisecond early': {
    caught: /leaves out the expired, unless asked/,
    breaks: (driver) => ({ list: (listing, call) => driver.list(listing, later(call)) }),
  },
  'list never shows the expired': {
    caught: /leaves out the expired, unless asked/,
    breaks: (driver) => ({ list: (listing, call) => driver.list({ ...listing, expired: false }, call) }),
  },
  'list takes any cursor': {
    caught: /refuses a cursor that is none/,
    breaks: (driver) => ({
      list({ after, ...listing }, call) {
        return driver.list(after === undefined || after.includes(' ') ? listing : { after, ...listing }, call)
      },
    }),
  },
  'labels ignore case': {
    caught: /small and capital letters/,
    breaks: (driver) => relabelled(driver, (label) => label.toLowerCase()),
  },
  'labels lose spaces at the end': {
    caught: /spaces at the end/,
    breaks: (driver) => relabelled(driver, (label) => label.replace(/ +$/, '') || label),
  },
  'labels are normalised': {
    caught: /composed and decomposed/,
    breaks: (driver) => relabelled(driver, (label) => label.normalize('NFC')),
  },
  'labels are compared without case in listings only': {
    caught: /small and capital letters/,
    breaks: (driver) => ({
      async list(listing, call) {
        const lower = listing.labels.map((label) => label.toLowerCase())
        const all = await listEvery(driver, listing, call)
        return {
          records: all.filter(({ labels }) =>
            carries(
              labels.map((label) => label.toLowerCase()),
              lower,
            ),
          ),
        }
      },
    }),
  },
  'labels end at 100 characters': {
    caught: /of full length/,
    breaks: (driver) => relabelled(driver, (label) => label.slice(0, 100)),
  },
  'count counts the expired': {
    caught: /counts what a listing finds/,
    breaks: (driver) => ({
      count: (counting, call) => driver.count(counting, { now: 0, signal: call.signal }),
    }),
  },
  'count counts what expires now (≤ for <)': {
    caught: /counts what a listing finds/,
    breaks: (driver) => ({ count: (counting, call) => driver.count(counting, earlier(call)) }),
  },
  'count goes on past its limit': {
    caught: /counts no further than asked/,
    breaks: (driver) => ({ count: (counting, call) => driver.count({ ...counting, atMost: 1_000 }, call) }),
  },
  'scan puts everything into every slice': {
    caught: /in exactly one/,
    breaks: (driver) => ({ scan: (slice, call) => driver.scan({ ...slice, index: 0, of: 1 }, call) }),
  },
  'scan has no last slice': {
    caught: /in exactly one/,
    breaks: (driver) => ({
      scan: (slice, call) =>
        slice.index > 0 && slice.index === slice.of - 1 ? { records: [] } : driver.scan(slice, call),
    }),
  },
  'scan leaves out tombstones': {
    caught: /tombstones too/,
    breaks: (driver) => ({
      async scan(slice, call) {
        const page = await driver.scan(slice, call)
        return { ...page, records: page.records.filter(({ value }) => value.byteLength > 0) }
      },
    }),
  },
  'scan shows the expired at their expiry (≤ for <) to nobody but those who ask': {
    caught: /leaves out the expired, unless asked/,
    breaks: (driver) => ({ scan: (slice, call) => driver.scan({ ...slice, expired: false }, call) }),
  },
  'scan slices by the first character of the id': {
    caught: /draws the slices evenly/,
    breaks: (driver) => ({
      async scan(slice, call) {
        const page = await driver.scan({ ...slice, index: 0, of: 1 }, call)
        return {
          ...page,
          records: page.records.filter(({ key }) => key.id.charCodeAt(0) % slice.of === slice.index),
        }
      },
    }),
  },
}

/** A driver whose labels are rewritten on their way in and in questions. */
function relabelled(driver: Driver, rewritten: (label: Label) => Label): Partial<Driver> {
  const all = (labels: readonly Label[]): Label[] => [...new Set(labels.map(rewritten))]
  return {
    create: (record, call) => driver.create({ ...record, labels: all(record.labels) }, call),
    list: (listing, call) => driver.list({ ...listing, labels: all(listing.labels) }, call),
    count: (counting, call) => driver.count({ ...counting, labels: all(counting.labels) }, call),
  }
}

/** A driver that lists as if only some labels had been asked for. */
async function listEvery(driver: Driver, listing: Listing, call: Call): Promise<StoredRecord[]> {
  const records: StoredRecord[] = []
  let after: string | undefined
  do {
    const page: Page = await driver.list(
      { ...listing, labels: [], limit: 1_000, ...(after === undefined ? {} : { after }) },
      call,
    )
    records.push(...page.records)
    after = page.next
  } while (after !== undefined)
  return records
}
