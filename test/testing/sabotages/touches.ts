/** Faults of touching and of batches. */

import type { Outcome } from '../../../packages/holdfast/src/store/contract.ts'
import { earlier, held, type Sabotage } from './sabotage.ts'

export const touchesAndBatches: Readonly<Record<string, Sabotage>> = {
  'touch shortens': {
    caught: /never shortens/,
    breaks: (driver) => ({
      async touch(touches, call) {
        const outcomes = await driver.touch(touches, call)
        for (const [i, { key, expiresAt }] of touches.entries()) {
          const there = await held(driver, { key }, call)
          if (outcomes[i] !== 'done' || !there) continue
          const set = { setsExpiry: true, expired: true, expected: there.version }
          await driver.replace({ ...there, ...set, expiresAt }, call)
        }
        return outcomes
      },
    }),
  },
  'touch gives a new version': {
    caught: /leaves value, labels and version alone/,
    breaks: (driver) => ({
      async touch(touches, call) {
        const outcomes = await driver.touch(touches, call)
        for (const { key, version } of touches) {
          const there = await held(driver, { key }, call)
          if (there?.version !== version) continue
          await driver.replace(
            { ...there, expected: version, version: `${version}+`, setsExpiry: false, expired: true },
            call,
          )
        }
        return outcomes
      },
    }),
  },
  'touch does not look at the version': {
    caught: /touch.*answers conflict at another version/,
    breaks: (driver) => ({
      async touch(touches, call) {
        const records = await driver.read(
          touches.map(({ key }) => key),
          { expired: true, strict: true },
          call,
        )
        return await driver.touch(
          touches.map((each, i) => ({ ...each, version: records[i]?.version ?? '' })),
          call,
        )
      },
    }),
  },
  'touch revives in the last millisecond (≤ for <)': {
    caught: /answers gone exactly from the expiry on, and never revives/,
    breaks: (driver) => ({ touch: (touches, call) => driver.touch(touches, earlier(call)) }),
  },
  'touch of nothing new answers gone, as MySQL counts rows': {
    caught: /done when there is nothing to prolong/,
    breaks: (driver) => ({
      async touch(touches, call) {
        const before = await driver.read(
          touches.map(({ key }) => key),
          { expired: true, strict: true },
          call,
        )
        const outcomes = await driver.touch(touches, call)
        return outcomes.map((outcome, i) => {
          const { expiresAt = 0, touchedAt = 0 } = before[i] ?? {}
          const touch = touches[i]
          return touch && touch.expiresAt <= expiresAt && touch.touchedAt <= touchedAt ? 'gone' : outcome
        })
      },
    }),
  },
  'touch answers the same for all keys': {
    caught: /answers for each key in its place/,
    breaks: (driver) => ({
      async touch(touches, call) {
        const outcomes = await driver.touch(touches, call)
        return outcomes.map(() => outcomes[0] ?? 'gone')
      },
    }),
  },
  'touch forgets the last use': {
    caught: /moves the last use/,
    breaks: (driver) => ({
      touch: (touches, call) =>
        driver.touch(
          touches.map((each) => ({ ...each, touchedAt: 0 })),
          call,
        ),
    }),
  },
  'a batch applies what it can': {
    caught: /does nothing when one cannot be done/,
    breaks: (driver) => ({
      async write(operations, call) {
        const outcomes: Outcome[] = []
        for (const operation of operations)
          outcomes.push((await driver.write([operation], call)).outcomes[0] ?? 'gone')
        return { applied: outcomes.every((outcome) => outcome === 'done'), outcomes }
      },
    }),
  },
  'a batch stops at the first failure but keeps what came before': {
    caught: /does nothing when one cannot be done/,
    breaks: (driver) => ({
      async write(operations, call) {
        const { applied, outcomes } = await driver.write(operations, call)
        if (applied) return { applied, outcomes }
        await driver.write(
          operations.slice(
            0,
            outcomes.findIndex((outcome) => outcome !== 'done'),
          ),
          call,
        )
        return { applied, outcomes }
      },
    }),
  },
  'a batch says only that it failed': {
    caught: /answers for each operation what it would have answered alone/,
    breaks: (driver) => ({
      async write(operations, call) {
        const { applied, outcomes } = await driver.write(operations, call)
        return { applied, outcomes: applied ? outcomes : outcomes.map(() => 'conflict' as const) }
      },
    }),
  },
  'a batch forgets its touches': {
    caught: /over several collections together/,
    breaks: (driver) => ({
      async write(operations, call) {
        const { applied } = await driver.write(
          operations.filter(({ type }) => type !== 'touch'),
          call,
        )
        return applied
          ? { applied, outcomes: operations.map(() => 'done' as const) }
          : await driver.write(operations, call)
      },
    }),
  },
}
