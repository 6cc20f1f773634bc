/** Somebody with a browser: keeps cookies, and follows no redirects. */

import type { Awaitable } from '../../store/contract.ts'

/** An answer that was read. */
export interface Seen {
  readonly status: number
  readonly headers: Headers
  /** All `Set-Cookie` headers. */
  readonly cookies: readonly string[]
  readonly body: string
}

export class Visitor {
  readonly url: string
  readonly jar = new Map<string, string>()

  constructor(url: string, jar: ReadonlyMap<string, string> = new Map()) {
    this.url = url
    for (const [name, value] of jar) this.jar.set(name, value)
  }

  /** Another tab of the same browser, which has not heard of what this one is told from now on. */
  copy(): Visitor {
    return new Visitor(this.url, this.jar)
  }

  async get(path: string, headers: Readonly<Record<string, string>> = {}): Promise<Seen> {
    return await this.ask('GET', path, headers)
  }

  async post(path: string, headers: Readonly<Record<string, string>> = {}): Promise<Seen> {
    return await this.ask('POST', path, headers)
  }

  async ask(method: string, path: string, headers: Readonly<Record<string, string>>): Promise<Seen> {
    return await this.look(method, path, headers, async (response) => await response.text())
  }

  /** Asks, and reads the body as `read` does. */
  async look(
    method: string,
    path: string,
    headers: Readonly<Record<string, string>>,
    read: (response: Response) => Awaitable<string>,
  ): Promise<Seen> {
    return await this.send(path, { method }, headers, read)
  }

  /** Sends a request with the cookies of the jar, and keeps those of the answer. */
  protected async send(
    path: string,
    request: RequestInit,
    headers: Readonly<Record<string, string>>,
    read: (response: Response) => Awaitable<string>,
  ): Promise<Seen> {
    const cookie = [...this.jar].map(([name, value]) => `${name}=${value}`).join('; ')
    const response = await fetch(this.url + path, {
      ...request,
      redirect: 'manual',
      headers: { ...(cookie === '' ? {} : { cookie }), ...headers },
    })
    const cookies = response.headers.getSetCookie()
    for (const each of cookies) this.#keep(each)
    return { status: response.status, headers: response.headers, cookies, body: await read(response) }
  }

  #keep(cookie: string): void {
    const [pair = '', ...attributes] = cookie.split('; ')
    const at = pair.indexOf('=')
    const name = pair.slice(0, at)
    if (attributes.includes('Max-Age=0')) this.jar.delete(name)
    else this.jar.set(name, pair.slice(at + 1))
  }
}
