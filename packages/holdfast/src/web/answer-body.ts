/** What the body of an answer is read from, between the application, which has handed it over, and its sending. */

/** A stream of Node.js, of whatever implementation. */
interface NodeStream {
  pipe(...given: unknown[]): unknown
  on(event: 'error', listener: () => void): unknown
  destroy?(): unknown
}

/**
 * To be called before anything is awaited: nobody listens to it yet, and the error of a file that isn't there would end
 * the process. Whoever sends it finds that it has failed.
 */
export function holdBody(body: unknown): void {
  if (isNodeStream(body)) body.on('error', () => undefined)
}

/** For what is not sent: lets go of what it comes from, such as a file or the response of another server. */
export function letGo(body: unknown): void {
  if (body instanceof Response) letGo(body.body)
  // It fails where somebody reads it by now.
  else if (body instanceof ReadableStream) body.cancel().catch(() => undefined)
  else if (isNodeStream(body)) body.destroy?.()
}

function isNodeStream(body: unknown): body is NodeStream {
  return typeof body === 'object' && body !== null && 'pipe' in body && typeof body.pipe === 'function'
}
