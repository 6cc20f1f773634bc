/** Somebody with a browser who sends forms, as browsers do without scripts. */

import { type Seen, Visitor } from '../../packages/holdfast/src/testing/web/visitor.ts'

/** A form that is on its way. */
export interface Sending {
  /** Sends what is left of it, and waits for the answer. */
  finish(): Promise<Seen>
}

export class Browser extends Visitor {
  override copy(): Browser {
    return new Browser(this.url, this.jar)
  }

  /** Sends a form: as `multipart/form-data` where it is a `FormData`. Reads the answer's headers, and its body later. */
  async submit(
    path: string,
    form: Readonly<Record<string, string>> | FormData,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Seen> {
    const body = form instanceof FormData ? form : new URLSearchParams(form)
    return await this.#post(path, body, headers)
  }

  /** Sends all of a form but its last byte. */
  submitSlowly(path: string, form: Readonly<Record<string, string>>): Sending {
    const bytes = new TextEncoder().encode(new URLSearchParams(form).toString())
    let rest: () => void
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(bytes.slice(0, -1))
        rest = () => {
          controller.enqueue(bytes.slice(-1))
          controller.close()
        }
      },
    })
    const answer = this.#post(path, body, { 'content-type': 'application/x-www-form-urlencoded' })
    answer.catch(() => undefined)
    return {
      finish: async () => {
        rest()
        return await answer
      },
    }
  }

  async #post(path: string, body: BodyInit, headers: Readonly<Record<string, string>>): Promise<Seen> {
    const request = {
      method: 'POST',
      body,
      ...(body instanceof ReadableStream && { duplex: 'half' as const }),
    }
    // As a proxy would: SvelteKit takes what comes without for TLS.
    const usual = { accept: 'text/html', origin: this.url, 'x-forwarded-proto': 'http' }
    return await this.send(path, request, { ...usual, ...headers }, async (response) => await response.text())
  }
}
