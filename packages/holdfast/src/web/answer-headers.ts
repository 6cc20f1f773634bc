/** What the answer must carry, put among the headers that the application has set. */

import type { Carried } from './exchange.ts'

/** The headers of an answer, as every framework has them in one form or another. */
export interface AnswerHeaders {
  /** @param name In lower case. Several values are joined by a comma. */
  get(name: string): string | undefined
  set(name: string, value: string): void
  /** Adds a `Set-Cookie` to those that are there. */
  addCookie(value: string): void
}

/** Adds what must be carried. An answer with a cookie is for one client alone, whatever was said of its caching. */
export function addCarried(headers: AnswerHeaders, { cookie, credential, vary }: Carried): void {
  if (vary.length > 0) headers.set('vary', varied(headers.get('vary'), vary))
  if (credential !== undefined) headers.set('session-credential', credential)
  if (cookie !== undefined) headers.addCookie(cookie)
  if (cookie !== undefined || credential !== undefined) {
    headers.set('cache-control', privately(headers.get('cache-control')))
  }
}

/** What an application says of one answer: of its body, how long it is kept, and to whom it was given. */
const ofOneAnswer = new Set([
  'accept-ranges',
  'cache-control',
  'content-digest',
  'content-disposition',
  'content-encoding',
  'content-language',
  'content-length',
  'content-location',
  'content-md5',
  'content-range',
  'content-type',
  'etag',
  'expires',
  'last-modified',
  'location',
  'refresh',
  'set-cookie',
  'trailer',
  'transfer-encoding',
])

/** Whether a header of the answer that was prepared is wrong for the error that takes its place. @param name In lower case. */
export function isOfOneAnswer(name: string): boolean {
  return ofOneAnswer.has(name)
}

function varied(before: string | undefined, names: readonly string[]): string {
  if (before === undefined) return names.join(', ')
  const known = before.split(',').flatMap((each) => (each.trim() === '' ? [] : [each.trim()]))
  if (known.includes('*')) return '*'
  const lower = new Set(known.map((each) => each.toLowerCase()))
  return [...known, ...names.filter((each) => !lower.has(each.toLowerCase()))].join(', ')
}

/** Nobody else may be given this answer: a cache that many share must not keep it. */
function privately(before: string | undefined): string {
  const kept = (before ?? '').split(',').flatMap((each) => {
    const directive = each.trim()
    const name = directive.split('=')[0]!.toLowerCase()
    return directive === '' || ['public', 'private', 's-maxage'].includes(name) ? [] : [directive]
  })
  return kept.includes('no-store') ? 'no-store' : ['private', ...kept].join(', ')
}
