/** The lines that protect what an application does with a session. */

import { noticedBy } from './mutation.ts'

export const sessionObject = [
  ...noticedBy('test/sessions/dictionary.test.ts', [
    {
      name: 'what is changed inside of a value is not noticed',
      edits: [
        {
          file: 'sessions/working-copy.ts',
          from: 'textOf(value) !== (taken ?? base))',
          to: 'textOf(value) === "" && taken === base)',
        },
      ],
      titles: ['is noticed and saved, also after a save'],
    },
    {
      name: 'an outdated copy overwrites what another request has stored',
      edits: [
        {
          file: 'records/saving.ts',
          from: "change !== 'deleted' && 'from' in change ? change.from : own(before, name)",
          to: 'own(before, name)',
        },
      ],
      titles: ['inside of a copy that another request has replaced'],
    },
    {
      name: 'an outdated copy passes for a change of the newest one',
      edits: [
        {
          file: 'sessions/working-copy.ts',
          from: 'this.#outdated.includes(handed) ? undefined : this.#keys.get(name)',
          to: 'this.#keys.get(name)',
        },
      ],
      titles: ['of an outdated copy and of the newest one at once'],
    },
    {
      name: 'what was merged is merged again after a save that failed',
      edits: [
        {
          file: 'sessions/working-copy.ts',
          from: 'each.base = each.taken ?? each.base\n      each.taken = undefined\n      this',
          to: 'this',
        },
      ],
      titles: ['that was merged is not merged again'],
    },
    {
      name: 'saving what nobody touched reads it',
      edits: [
        {
          file: 'sessions/session.ts',
          from: 'if (!this.isLoaded && !this.modified) return',
          to: '',
        },
      ],
      titles: ['one that is never touched is never read'],
    },
    {
      name: 'a load that failed is never tried again',
      edits: [
        {
          file: 'sessions/holding.ts',
          from: 'this.#loading = undefined\n    if',
          to: 'if',
        },
      ],
      titles: ['a load that fails is an error for all who wait'],
    },
  ]),
  ...noticedBy('test/sessions/expiry.test.ts', [
    {
      name: 'a new secret keeps a session alive that the request is no use of',
      edits: [
        {
          file: 'sessions/storing.ts',
          from: 'return keepAlive ? this.#usedNow(envelope) : { expiresAt, touchedAt }',
          to: 'return keepAlive || touchedAt > 0 ? this.#usedNow(envelope) : { expiresAt, touchedAt }',
        },
      ],
      titles: ['keeps nothing alive'],
    },
    {
      name: 'caches are not told of an earlier end',
      edits: [
        {
          file: 'sessions/storing.ts',
          from: 'if (stored.entry.record.expiresAt < entry.record.expiresAt) await this.#shortened(stored)',
          to: '',
        },
      ],
      titles: ['ends it in every process that has a copy'],
    },
    {
      name: 'a tombstone outlives the shortened end only',
      edits: [
        {
          file: 'sessions/storing.ts',
          from: 'before > written.expiresAt ? before : 0',
          to: 'before < 0 ? before : 0',
        },
      ],
      titles: ['really ends it earlier, and its tombstone outlives the later end'],
    },
    {
      name: 'an expiry that is no number is valid for ever',
      edits: [
        {
          file: 'sessions/expiry.ts',
          from: 'return !(now < expiryOf(settings, envelope, record.touchedAt))',
          to: 'return now >= expiryOf(settings, envelope, record.touchedAt)',
        },
      ],
      titles: ['that is nonsense in the store is no session'],
    },
  ]),
  ...noticedBy('test/sessions/principal.test.ts', [
    {
      name: 'what another user left is kept',
      edits: [
        {
          file: 'sessions/storing.ts',
          from: 'const merged: Applied = isAnother(fresh.envelope, login)',
          to: 'const merged: Applied = isAnother(fresh.envelope, undefined)',
        },
      ],
      titles: ['by another user drops the former’s data'],
    },
    {
      name: 'what was changed inside of what another user left goes on',
      edits: [
        {
          file: 'sessions/session.ts',
          from: 'const inside = !isAnother(held.entry.envelope, begun)',
          to: 'const inside = true',
        },
      ],
      titles: ['by another user drops the former’s data'],
    },
    {
      name: 'a step-up that could not be stored counts later',
      edits: [
        {
          file: 'sessions/holding.ts',
          from: 'if (facts !== nothing) this.#facts = { ...facts, ...this.#facts }',
          to: 'this.#facts = { ...pending.facts, ...this.#facts }',
        },
      ],
      titles: ['that could not be stored counts for nothing'],
    },
    {
      name: 'each request that adopts a successor tells of a rotation',
      edits: [
        {
          file: 'sessions/storing.ts',
          from: 'if (isMine) this.#tell(',
          to: 'if (isMine || stored) this.#tell(',
        },
      ],
      titles: ['of requests at once all adopt one successor'],
    },
  ]),
  ...noticedBy('test/sessions/schema.test.ts', [
    {
      name: 'what the schema refuses is shown after a rotation',
      edits: [
        {
          file: 'sessions/held.ts',
          from: 'return sameData(was, is) ?',
          to: 'return !isHidden && sameData(was, is) ?',
        },
      ],
      titles: ['does not show what it refuses'],
    },
    {
      name: 'what has replaced refused data is replaced as well',
      edits: [
        {
          file: 'sessions/storing.ts',
          from: 'held.isHidden === true && !(await migrated(schema, fresh.envelope.data))',
          to: 'held.isHidden === true',
        },
      ],
      titles: ['two requests that replace what it refuses'],
    },
    {
      name: 'what a newer release has put in is removed by the reading of an older one',
      edits: [
        {
          file: 'sessions/schema.ts',
          from: 'return { data, hidden: left }',
          to: 'return { data: next, hidden: [] }',
        },
      ],
      titles: ['keys that it only leaves out stay stored'],
    },
    {
      name: 'what a newer release has put in is removed where another key has an older form',
      edits: [
        {
          file: 'sessions/schema.ts',
          from: '...only(data, hidden)',
          to: '...only(data, [])',
        },
      ],
      titles: ['keys that have no part in the present form stay stored'],
    },
    {
      name: 'a message replaces what the schema refuses',
      edits: [
        {
          file: 'sessions/storing.ts',
          from: 'if (schema && changesOwn(changes))',
          to: 'if (schema && !isUnchanged(changes) && (changesOwn(changes) || schema))',
        },
      ],
      titles: ['messages come and go beside what it refuses'],
    },
  ]),
  ...noticedBy('test/sessions/adopting.test.ts', [
    {
      name: 'who was adopted has just proved who they are',
      edits: [{ file: 'sessions/adopting.ts', from: 'authenticatedAt: 0,', to: '' }],
      titles: ['is not fresh before its user has proved something here'],
    },
  ]),
  ...noticedBy('test/sessions/binding.test.ts', [
    {
      name: 'an answer that nobody knows lets a suspect in',
      edits: [
        {
          file: 'sessions/admitting.ts',
          from: "return Object.hasOwn(told, answer) ? answer : 'refuse'",
          to: 'return answer',
        },
      ],
      titles: ['an answer that nobody knows refuses'],
    },
    {
      name: 'a session is bound to whoever is only recorded',
      edits: [
        {
          file: 'sessions/visit.ts',
          from: ' && differences(binding, facts, client).length === 0',
          to: ' && differences(binding, facts, client).length >= 0',
        },
      ],
      titles: ['goes on when'],
    },
    {
      name: 'a request that was slower than a rotation by binding is an error',
      edits: [
        {
          file: 'sessions/admitting.ts',
          from: 'if (error instanceof SessionGone) return undefined',
          to: '',
        },
      ],
      titles: ['rotate, in parallel'],
    },
  ]),
  ...noticedBy('test/sessions/session-schedules.test.ts', [
    {
      name: 'any other write is taken for a touch',
      edits: [
        {
          file: 'records/records.ts',
          from: "return deferred === 'conflict' ? await this.#touchNewest(key, needed, now) : deferred === 'done'",
          to: "return deferred !== 'gone'",
        },
      ],
      titles: ['what is written without prolonging does not undo'],
    },
  ]),
  ...noticedBy('test/sessions/limit.test.ts', [
    {
      name: 'logins of one user are counted at the same time',
      edits: [
        {
          file: 'sessions/limit.ts',
          from: 'const release = await leases.acquire(',
          to: 'const release = await (async (..._: unknown[]) => async () => leases && undefined)(',
        },
      ],
      titles: ['parallel logins leave exactly as many as are allowed'],
    },
  ]),
  ...noticedBy('test/sessions/lock.test.ts', [
    {
      name: 'whoever only knows an id takes its lock',
      edits: [
        {
          file: 'sessions/sessions.ts',
          from: 'if (!isAdmitted(first)) return await this.#admitted(first, parts, visit)',
          to: '',
        },
      ],
      titles: ['is not for those who only know an id'],
    },
    {
      name: 'what was read before the lock was given is what is worked on',
      edits: [
        {
          file: 'sessions/sessions.ts',
          from: 'const newest = await admit(this.#records, parts, onEvent, this.#isOutOfTime, { strict: true })',
          to: 'const newest = first',
        },
      ],
      titles: ['reads the truth when it was given'],
    },
    {
      name: 'a lock that was given up is held by nobody for ever',
      edits: [
        {
          file: 'sessions/holding.ts',
          from: 'if (this.#isReleased) await this.release()',
          to: '',
        },
      ],
      titles: ['that a request waits for when it is given up is free at once'],
    },
  ]),
  ...noticedBy('test/store/codec/signed.test.ts', [
    {
      name: 'a signature is good for every record',
      edits: [
        { file: 'credentials/key-ring.ts', from: '.update(`${bound}\\0`)', to: '.update(bound.slice(0, 0))' },
      ],
      titles: ['of another purpose, record or collection does not decode'],
    },
    {
      name: 'a signature is good for every purpose',
      edits: [
        {
          file: 'credentials/key-ring.ts',
          from: 'key: derive(key, purpose)',
          to: 'key: derive(key, purpose.slice(0, 0))',
        },
      ],
      titles: ['of another purpose, record or collection does not decode'],
    },
    {
      name: 'a bomb is unpacked',
      edits: [
        {
          file: 'store/codec/signed.ts',
          from: '{ maxOutputLength: longest }',
          to: '{ maxOutputLength: longest * 1_000 }',
        },
      ],
      titles: ['that would be gigabytes takes no more memory'],
    },
  ]),
  ...noticedBy('test/drivers/memory-views.test.ts', [
    {
      name: 'what was made of a record outlives its change',
      edits: [{ file: 'drivers/memory/memory.ts', from: 'entry.look?.forget()', to: '' }],
      titles: ['follows what is replaced, touched, relabelled'],
    },
    {
      name: 'what was made of a record outlives its expiry',
      edits: [
        {
          file: 'drivers/memory.ts',
          from: 'if (!entry || !isLive(entry, now)) return undefined',
          to: 'if (!entry || now < 0) return undefined',
        },
      ],
      titles: ['ends with the record, to the millisecond'],
    },
  ]),
  ...noticedBy('test/web/express-signature.test.ts', [
    {
      name: 'a cookie that was right stays so without its secret',
      edits: [
        {
          file: 'web/express/signature.ts',
          from: 'known !== undefined && secrets.includes(known)',
          to: 'known !== undefined',
        },
      ],
      titles: ['is refused from the moment on at which its secret is taken away'],
    },
  ]),
]
