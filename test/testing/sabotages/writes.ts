/** Faults of creating and replacing. */

import type { Call, Driver, Replacement } from '../../../packages/holdfast/src/store/contract.ts'
import { isLive } from '../../../packages/holdfast/src/store/record.ts'
import { earlier, held, later, type Sabotage, systemTime } from './sabotage.ts'

export const writes: Readonly<Record<string, Sabotage>> = {
  'create overwrites a live record': {
    caught: /refuses a key that a live record holds/,
    breaks: (driver) => ({
      async create(record, call) {
        await driver.remove([record.key], call)
        return await driver.create(record, call)
      },
    }),
  },
  'create does not take the key of an expired record': {
    caught: /takes the key of an expired record exactly/,
    breaks: (driver) => ({
      create: async (record, call) =>
        (await held(driver, record, call)) ? 'conflict' : driver.create(record, call),
    }),
  },
  'create takes a key one millisecond early': {
    caught: /takes the key of an expired record exactly/,
    breaks: (driver) => ({ create: (record, call) => driver.create(record, later(call)) }),
  },
  'create takes a key one millisecond late (≤ for <)': {
    caught: /takes the key of an expired record exactly/,
    breaks: (driver) => ({ create: (record, call) => driver.create(record, earlier(call)) }),
  },
  'create goes by the clock of the server': {
    caught: /takes the key of an expired record exactly/,
    breaks: (driver) => ({ create: (record, call) => driver.create(record, systemTime(call)) }),
  },
  'create looks, waits and writes': {
    caught: /exactly one of many who create/,
    breaks: (driver) => ({
      async create(record, call) {
        const there = await held(driver, record, call)
        if (there && isLive(there, call.now)) return 'conflict'
        const removed = driver.remove([record.key], call)
        const created = driver.create(record, call)
        await removed
        return await created
      },
    }),
  },
  'replace is an upsert': {
    caught: /answers gone where nothing is, and creates nothing/,
    breaks: (driver) => ({
      async replace(replacement, call) {
        const outcome = await driver.replace(replacement, call)
        if (outcome === 'gone') await createFrom(driver, replacement, call)
        return outcome === 'gone' ? 'done' : outcome
      },
    }),
  },
  'replace does not look at the version': {
    caught: /answers conflict at another version/,
    breaks: (driver) => ({
      async replace(replacement, call) {
        const there = await held(driver, replacement, call)
        return await driver.replace({ ...replacement, expected: there?.version ?? '' }, call)
      },
    }),
  },
  'replace compares only the number of the version': {
    caught: /exactly one of many writers|answers conflict at another version/,
    breaks: (driver) => ({
      async replace(replacement, call) {
        const there = await held(driver, replacement, call)
        const alike =
          there && Number.parseInt(there.version, 10) === Number.parseInt(replacement.expected, 10)
        return await driver.replace(
          { ...replacement, expected: alike ? there.version : replacement.expected },
          call,
        )
      },
    }),
  },
  'replace looks, waits and writes': {
    caught: /exactly one of many writers/,
    breaks: (driver) => ({
      async replace(replacement, call) {
        const there = await held(driver, replacement, call)
        if (there?.version !== replacement.expected) return await driver.replace(replacement, call)
        await createFrom(driver, { ...replacement, labels: replacement.labels ?? there.labels }, call)
        return 'done'
      },
    }),
  },
  'replace answers conflict for what is gone': {
    caught: /answers gone where nothing is/,
    breaks: (driver) => ({
      async replace(replacement, call) {
        const outcome = await driver.replace(replacement, call)
        return outcome === 'gone' ? 'conflict' : outcome
      },
    }),
  },
  'replace revives the expired': {
    caught: /answers gone exactly from the expiry on, and revives nothing/,
    breaks: (driver) => ({
      replace: (replacement, call) => driver.replace({ ...replacement, expired: true }, call),
    }),
  },
  'replace never touches the expired': {
    caught: /replaces an expired record when allowed/,
    breaks: (driver) => ({
      replace: (replacement, call) => driver.replace({ ...replacement, expired: false }, call),
    }),
  },
  'replace still works at the expiry (≤ for <)': {
    caught: /answers gone exactly from the expiry on, and revives nothing/,
    breaks: (driver) => ({ replace: (replacement, call) => driver.replace(replacement, earlier(call)) }),
  },
  'replace shortens the life that a touch gave': {
    caught: /so that a save does not undo a touch/,
    breaks: (driver) => ({
      replace: (replacement, call) => driver.replace({ ...replacement, setsExpiry: true }, call),
    }),
  },
  'replace never sets an earlier expiry': {
    caught: /sets the expiry as given/,
    breaks: (driver) => ({
      replace: (replacement, call) => driver.replace({ ...replacement, setsExpiry: false }, call),
    }),
  },
  'replace moves the last use back': {
    caught: /keeps the later time of last use/,
    breaks: (driver) => ({
      async replace(replacement, call) {
        const there = await held(driver, replacement, call)
        const outcome = await driver.replace(replacement, call)
        if (outcome !== 'done' || !there) return outcome
        await createFrom(driver, { ...replacement, labels: replacement.labels ?? there.labels }, call)
        return outcome
      },
    }),
  },
  'replace without labels drops them': {
    caught: /leaves the labels and their index alone/,
    breaks: (driver) => ({
      replace: (replacement, call) =>
        driver.replace({ ...replacement, labels: replacement.labels ?? [] }, call),
    }),
  },
  'replace ignores an empty list of labels': {
    caught: /takes all labels away/,
    breaks: (driver) => ({
      replace({ labels, ...rest }, call) {
        return driver.replace(labels?.length ? { ...rest, labels } : rest, call)
      },
    }),
  },
  'replace adds labels instead of setting them': {
    caught: /makes the labels exactly those/,
    breaks: (driver) => ({
      async replace(replacement, call) {
        const there = await held(driver, replacement, call)
        const { labels } = replacement
        if (!labels || !there) return await driver.replace(replacement, call)
        return await driver.replace(
          { ...replacement, labels: [...new Set([...there.labels, ...labels])].sort() },
          call,
        )
      },
    }),
  },
}

async function createFrom(driver: Driver, replacement: Replacement, call: Call): Promise<void> {
  const { key, version, value, labels = [], expiresAt, touchedAt } = replacement
  const removed = driver.remove([key], call)
  const created = driver.create({ key, version, value, labels, expiresAt, touchedAt }, call)
  await removed
  await created
}
