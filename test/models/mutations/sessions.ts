/** The lines that protect sessions. */

import { noticedBy } from './mutation.ts'

export const sessions = [
  ...noticedBy('test/sessions/sessions.test.ts', [
    {
      name: 'a change is decided on what was read long ago',
      edits: [
        { file: 'records/records.ts', from: 'if (!isOld) return decision.stop', to: 'return decision.stop' },
      ],
      titles: ['a rotation is decided on what is there'],
    },
    {
      name: 'a copy in a cache turns people away',
      edits: [
        {
          file: 'records/admission.ts',
          from: 'if (records.store.capabilities.cached && mayBeBehind(found, recognition, isOver)) {',
          to: 'if (records.collection === "" && mayBeBehind(found, recognition, isOver)) {',
        },
      ],
      titles: ['a copy in a cache that is behind'],
    },
    {
      name: 'filters of two users are not both minded',
      edits: [
        {
          file: 'records/envelope.ts',
          from: "return user === undefined ? labels : [label('user', user), ...labels]",
          to: 'return user === undefined ? labels : labelsOf(user, labels)',
        },
      ],
      titles: ['by user and by labels, all of which must match'],
    },
    {
      name: 'the principal beside the value counts',
      edits: [
        {
          file: 'records/envelope.ts',
          from: 'if (owner !== (envelope.user === undefined ? undefined : `user:${envelope.user}`)) {',
          to: 'if (owner === "") {',
        },
      ],
      titles: ['a label of another user beside the value'],
    },
    {
      name: 'a touch that fails turns people away',
      edits: [
        {
          file: 'sessions/sessions.ts',
          from: "this.#settings.onEvent({ type: 'touch-failed'",
          to: "throw cause; this.#settings.onEvent({ type: 'touch-failed'",
        },
      ],
      titles: ['an outage is an error, never "no session"'],
    },
  ]),
  ...noticedBy('test/sessions/lifetime.test.ts', [
    {
      name: 'whoever uses a session near its end is not noticed',
      edits: [
        {
          file: 'sessions/expiry.ts',
          from: 'return now - entry.record.touchedAt < Math.max(restsFor(settings, entry), 1)',
          to: `const isFar = expiryOf(settings, entry.envelope, now) <= entry.record.expiresAt
  return isFar || now - entry.record.touchedAt < Math.max(restsFor(settings, entry), 1)`,
        },
      ],
      titles: ['timeouts that are shortened count at once'],
    },
    {
      name: 'opening windows does not prolong',
      edits: [
        {
          file: 'sessions/sessions.ts',
          from: 'expiresAt: keepAlive ? expiryOf(this.#settings, envelope, now) : record.expiresAt,',
          to: 'expiresAt: record.expiresAt,',
        },
      ],
      titles: ['a secret that is presented for the first time prolongs it'],
    },
    {
      name: 'a touch reaches no further than the idle timeout',
      edits: [
        {
          file: 'sessions/expiry.ts',
          from: 'Math.max(now + age + reach, untilOf(facts))',
          to: 'Math.max(now + age + 0 * reach, untilOf(facts))',
        },
      ],
      titles: ['idle is a minimum'],
    },
    {
      name: 'the absolute end is beside the value only',
      edits: [
        {
          file: 'records/records.ts',
          from: 'return isLive({ expiresAt: found.entry.envelope.absolute }, this.now) ? found : absent',
          to: 'return found',
        },
        {
          file: 'sessions/expiry.ts',
          from: 'if (now >= Math.max(envelope.authenticatedAt, envelope.createdAt) + longest) return true',
          to: 'if (longest < 0) return true',
        },
        {
          file: 'sessions/expiry.ts',
          from: 'return now >= record.touchedAt + settings.idle + settings.touchAfter',
          to: 'return false',
        },
      ],
      titles: ['the absolute end holds even where somebody moved the expiry'],
    },
  ]),
  ...noticedBy('test/models/sessions.test.ts', [
    {
      name: 'an epoch from before makes up for an old login',
      edits: [
        {
          file: 'sessions/storing.ts',
          from: 'epochs: epochsAfter(login, envelope.epochs)',
          to: 'epochs: { ...envelope.epochs, ...login.epochs }',
        },
      ],
      titles: ['keep their promises in memory'],
    },
    {
      name: 'what is buried is left as it was',
      edits: [
        {
          file: 'records/records.ts',
          from: 'value: this.store.codec.encode(record.key, packed(tombstone)),',
          to: 'value: this.store.codec.encode(record.key, packed(living ?? tombstone)),',
        },
      ],
      titles: ['keep their promises in memory'],
    },
    {
      name: 'what is put back hides what was changed since',
      edits: [
        {
          file: 'sessions/working-copy.ts',
          from: 'this.#keys = new Map([...taken.keys, ...this.#keys])',
          to: 'this.#keys = new Map(this.#keys)',
        },
      ],
      titles: ['keep their promises in memory'],
    },
  ]),
]
