/**
 * Requests from other sites: a browser sends the cookie with some of them, and what they ask for is not what the user
 * asked for. They are told by `Sec-Fetch-Site`, and by `Origin` where a browser is too old for that.
 */

import { CrossSiteRequest, InvalidOption } from '../errors.ts'

/** What is looked at. */
export interface OriginRequest {
  readonly method: string
  /** @param name In lower case. */
  header(name: string): string | undefined
}

/** What is read, and what a browser asks before it sends something: they change nothing. */
const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE'])

/**
 * The other origins whose pages may send requests; `undefined`: those of all. What is no origin would never be found
 * in a request, and what is no list would let in whom nobody meant.
 *
 * @throws {InvalidOption}
 */
export function allowedOrigins(
  check: boolean | { readonly allow: readonly string[] },
): readonly string[] | undefined {
  if (check === true) return []
  if (check === false) return undefined
  const { allow } = check
  const isList: boolean = Array.isArray(allow)
  if (!isList) {
    throw new InvalidOption("checkOrigin is true, false, or such as { allow: ['https://app.example'] }")
  }
  for (const origin of allow) {
    if (!isOrigin(origin)) {
      throw new InvalidOption(
        `checkOrigin.allow takes origins such as 'https://app.example', not ${JSON.stringify(origin)}`,
      )
    }
  }
  return allow
}

/** As a browser writes it: also `null`, which it sends where a page hides its own, and those of applications. */
function isOrigin(text: string): boolean {
  if (text === 'null') return true
  if (!URL.canParse(text)) return false
  const { origin, protocol, host } = new URL(text)
  return text === (origin === 'null' ? `${protocol}//${host}` : origin)
}

/**
 * Refuses a request that would change something and comes from another origin.
 *
 * What sends neither header is no browser, and carries no cookie that it was not given on purpose.
 *
 * @param allowed Other origins whose pages may send such requests, such as `https://app.example`.
 * @throws {CrossSiteRequest}
 */
export function checkOrigin(request: OriginRequest, allowed: readonly string[]): void {
  if (safeMethods.has(request.method.toUpperCase())) return
  const site = request.header('sec-fetch-site')
  if (site === 'same-origin' || site === 'none') return
  const origin = request.header('origin')
  if (origin !== undefined && allowed.includes(origin)) return
  if (site === undefined && (origin === undefined || isOwn(origin, request.header('host')))) return
  throw new CrossSiteRequest(
    `a ${request.method} came from ${origin ?? 'another site'}, which is allowed neither to use a session nor to begin one`,
  )
}

function isOwn(origin: string, host: string | undefined): boolean {
  return host !== undefined && URL.canParse(origin) && new URL(origin).host === host.toLowerCase()
}
