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
  from: 'if (judging instanceof Promise ? await judging : judging) return {}',
  to: '',
}

export const listsIgnoreMarks: Edit = {
  file: 'sessions/sessions.ts',
  from: `    if (this.#isOutOfTime(entry)) return true
    return await`,
  to: `    if (this.#isOutOfTime(entry)) return true
    return false && await`,
}

export const savesOnWhatWasRead: Edit = {
  file: 'sessions/session.ts',
  from: `return reapplied(
      base.envelope.data,
      fresh.envelope.data,`,
  to: `return conflicts && { data: applied(base.envelope.data, changes) }
    return reapplied(
      base.envelope.data,
      fresh.envelope.data,`,
}
