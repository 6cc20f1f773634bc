/** The operations that change nothing. A failed one leaves every state possible. */

import { compareBytes, type Key, keyText, type StoredRecord } from '../../../store/record.ts'
import type { Page } from '../../../store/contract.ts'
import type { Arbitrary, FastCheck } from '../fast-check.ts'
import type { Command, Model, Real } from '../model.ts'
import { type Asked, list, read, scan, type State } from '../reference.ts'
import { anyCollection, anyKeys, anyWanted, shownLabels } from './values.ts'

/** No listing of the few records of a run has more pages. */
const mostPages = 500

export function readCommand(fc: FastCheck): Arbitrary<Command> {
  return fc.tuple(anyKeys(fc, 4), fc.boolean(), fc.boolean()).map(([keys, expired, strict]) => {
    const text = `read ${keys.map(keyText).join(', ')}${expired ? ', the expired too' : ''}${strict ? ', strictly' : ''}`
    return command(text, async (model, { store }) => {
      const options = { expired, strict }
      const one = keys.length === 1 && keys[0]
      const observed = await model.observe(async () =>
        one ? [await store.read(one, options)] : await store.readMany(keys, options),
      )
      if ('failed' in observed) return
      const found = observed.answer
      model.keep(text, found, (state) => {
        const expected = keys.map((key) => read(state, key, expired, model.now))
        return agreeing(model, state, expected, found)
      })
    })
  })
}

/** The state with versions filled in, if what was found is what was expected. */
function agreeing(
  model: Model,
  state: State,
  expected: readonly (StoredRecord | undefined)[],
  found: readonly (StoredRecord | undefined)[],
): readonly State[] {
  if (expected.length !== found.length) return []
  let after = state
  for (const [i, record] of expected.entries()) {
    const next = model.matching(after, record, found[i])
    if (!next) return []
    after = next
  }
  return [after]
}

export function listCommand(fc: FastCheck): Arbitrary<Command> {
  const flags = fc.tuple(fc.boolean(), fc.boolean(), fc.boolean())
  const limit = fc.constantFrom(100, 1, 2, 3)
  return fc
    .tuple(anyCollection(fc), anyWanted(fc), limit, flags)
    .map(([collection, labels, limit, [reverse, expired, values]]) => {
      const asked = { collection, labels, expired, reverse }
      const text = `list ${shownAsked(asked)}${values ? '' : ', without values'}, ${limit} a page`
      return command(text, async (model, { store }) => {
        if (store.capabilities.listing !== 'complete') return
        const observed = await model.observe(() =>
          allPages(limit, (after) => store.list(collection, { ...asked, values, limit, ...from(after) })),
        )
        if ('failed' in observed) return
        const found = observed.answer
        model.keep(text, found, (state) =>
          agreeing(model, state, expectedOf(state, asked, values, model.now), found),
        )
      })
    })
}

function expectedOf(state: State, asked: Asked, values: boolean, now: number): readonly StoredRecord[] {
  const expected = list(state, asked, now)
  return values ? expected : expected.map((record) => ({ ...record, value: new Uint8Array() }))
}

/** A listing that goes on while other things happen: one page per command. */
export function pageCommand(fc: FastCheck): Arbitrary<Command> {
  const limit = fc.constantFrom(1, 2)
  return fc.tuple(anyCollection(fc), fc.subarray(['user:ada'], {}), limit, fc.boolean()).map((made) => {
    const [collection, labels, limit, reverse] = made
    const asked = { collection, labels, expired: false, reverse }
    const text = `a page of ${limit}, of ${shownAsked(asked)} or of the listing under way`
    return command(text, async (model, { store }) => {
      if (store.capabilities.listing !== 'complete') return
      const listing = (model.listing ??= opened(model, asked))
      const page = await store.list(listing.asked.collection, {
        ...listing.asked,
        limit,
        ...from(listing.after),
      })
      checkLimit(page, limit)
      const current = page.records.map(({ key }) => read(model.states[0]!, key, false, model.now))
      model.keep(text, page, (state) => agreeing(model, state, current, page.records))
      for (const { key } of page.records) follow(listing, key)
      listing.after = page.next
      if (page.next !== undefined) return
      model.listing = undefined
      const missed = [...listing.due].filter((id) => !listing.seen.has(id))
      if (missed.length > 0) throw new Error(`the listing ended without ${missed.join(', ')}`)
    })
  })
}

function opened(model: Model, asked: Asked): NonNullable<Model['listing']> {
  const due = new Set(list(model.states[0]!, asked, model.now).map(({ key }) => key.id))
  return { asked, due, seen: new Set(), after: undefined, last: undefined }
}

function follow(listing: NonNullable<Model['listing']>, key: Key): void {
  const { last, asked, seen } = listing
  if (last !== undefined && compareBytes(key.id, last) * (asked.reverse ? -1 : 1) <= 0) {
    throw new Error(`the listing went from ${last} to ${key.id}`)
  }
  seen.add(key.id)
  listing.last = key.id
}

export function countCommand(fc: FastCheck): Arbitrary<Command> {
  const atMost = fc.constantFrom(1_000, 1, 2)
  return fc.tuple(anyCollection(fc), anyWanted(fc), atMost).map(([collection, labels, atMost]) => {
    const text = `count ${collection} with ${shownLabels(labels)}, at most ${atMost}`
    return command(text, async (model, { store }) => {
      if (!store.capabilities.counting) return
      const observed = await model.observe(() => store.count(collection, { labels, atMost }))
      if ('failed' in observed) return
      const asked = { collection, labels, expired: false, reverse: false }
      model.keep(text, observed.answer, (state) =>
        Math.min(atMost, list(state, asked, model.now).length) === observed.answer ? [state] : [],
      )
    })
  })
}

export function scanCommand(fc: FastCheck): Arbitrary<Command> {
  return fc
    .tuple(fc.constantFrom(1, 3), fc.constantFrom(100, 2), fc.boolean())
    .map(([of, limit, expired]) => {
      const text = `scan in ${of} slices${expired ? ', the expired too' : ''}, ${limit} a page`
      return command(text, async (model, { store }) => {
        if (!store.capabilities.scanning) return
        const observed = await model.observe(async () => {
          const found: StoredRecord[] = []
          for (let index = 0; index < of; index++) {
            found.push(
              ...(await allPages(limit, (after) =>
                store.scan({ index, of, limit, expired, ...from(after) }),
              )),
            )
          }
          return found.sort(byKey)
        })
        if ('failed' in observed) return
        const found = observed.answer
        model.keep(text, found, (state) =>
          agreeing(model, state, scan(state, expired, model.now).sort(byKey), found),
        )
      })
    })
}

/** A command that is always possible and notes that it was run. */
export function command(text: string, run: (model: Model, real: Real) => Promise<void>): Command {
  return {
    check: () => true,
    async run(model, real) {
      model.steps.push(text)
      await run(model, real)
    },
    toString: () => text,
  }
}

async function allPages(
  limit: number,
  page: (after: string | undefined) => Promise<Page>,
): Promise<StoredRecord[]> {
  const found: StoredRecord[] = []
  let after: string | undefined
  for (let pages = 1; pages <= mostPages; pages++) {
    const { records, next } = await page(after)
    checkLimit({ records }, limit)
    found.push(...records)
    if (next === undefined) return found
    after = next
  }
  throw new Error(`after ${mostPages} pages there was still another`)
}

function checkLimit({ records }: Page, limit: number): void {
  if (records.length > limit) throw new Error(`a page of at most ${limit} had ${records.length} records`)
}

function from(after: string | undefined): { after?: string } {
  return after === undefined ? {} : { after }
}

function byKey(a: StoredRecord, b: StoredRecord): number {
  return compareBytes(keyText(a.key), keyText(b.key))
}

function shownAsked({ collection, labels, reverse, expired }: Asked): string {
  return `${collection} with ${shownLabels(labels)}${reverse ? ', backwards' : ''}${expired ? ', the expired too' : ''}`
}
