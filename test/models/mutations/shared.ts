/** Lines whose absence several tests must notice. */

import type { Edit } from './mutation.ts'

export const buryWithoutCompare: Edit = {
  file: 'records/records.ts',
  from: `        if (written.status === 'done') {
          if (envelope)`,
  to: `        if (written.status !== 'gone') {
          if (envelope)`,
}

export const onePassOnly: Edit = {
  file: 'records/revoking.ts',
  from: 'while ((await buryAll(records, mark, end, revoked)) > 0) {',
  to: 'if ((await buryAll(records, mark, end, revoked)) > 0) {',
}
export const readersIgnoreMarks: Edit = {
  file: 'records/admission.ts',
  from: `  if (struck instanceof Promise) return struck.then((is) => (is ? {} : admitted))
  return struck ? {} : admitted`,
  to: `  return struck ? admitted : admitted`,
}

export const listsIgnoreMarks: Edit = {
  file: 'sessions/sessions.ts',
  from: 'return this.#isOutOfTime(entry) || (await this.#records.marks.strikes(entry))',
  to: 'return this.#isOutOfTime(entry)',
}

export const savesOnWhatWasRead: Edit = {
  file: 'sessions/storing.ts',
  from: 'return reapplied(base.envelope.data, fresh.envelope.data, changes, policy)',
  to: 'return { data: applied(base.envelope.data, changes) }',
}
