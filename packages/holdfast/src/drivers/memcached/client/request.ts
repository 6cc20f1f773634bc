/** A request under way: what is sent, and what its answer is waited for by. */

import { type Answer, flag, Unintelligible } from './answers.ts'

/** Who asks. Looked at only when a request has to wait before it is sent. */
export interface Asking {
  /** Takes back what was not sent yet. What was sent is sent. */
  readonly signal?: AbortSignal
}

/** One request and its place in the order of answers. */
export interface Request {
  readonly asking: Asking
  /** What is written, for the `n`th request of a connection. */
  readonly line: (n: number) => string
  /** What follows the line. */
  readonly value?: Uint8Array
  /** The connection that it must go over. */
  readonly over?: number
  /**
   * Takes the next answer, which came over the connection. True when it was the last that belongs to this request.
   *
   * @throws {Unintelligible} when it is none to this request.
   */
  take(answer: Answer, n: number, connection: number): boolean
  fail(error: unknown): void
}

/** An answer of the meta protocol, and the connection over which it came. */
export interface Reply extends Answer {
  readonly over: number
}

/** The connection that a request must go over is closed. Nothing was sent. */
export class ConnectionGone extends Error {}

/** How a request is handed on. */
export type Send = (request: Request) => void

/**
 * Sends a request of the meta protocol. It carries an opaque number that its answer must repeat: were the answers ever
 * out of step with the requests, one user would be given another's session.
 */
export function metaRequest(
  send: Send,
  line: string,
  asking: Asking,
  value?: Uint8Array,
  over?: number,
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    send({
      asking,
      line: (n) => `${line} O${n}\r\n`,
      ...(value ? { value } : {}),
      ...(over === undefined ? {} : { over }),
      take(answer, n, connection) {
        // The server's own failures carry no number. Whatever comes next does.
        if (answer.status !== 'SERVER_ERROR' && flag(answer, 'O') !== String(n)) throw outOfStep(answer)
        resolve({ ...answer, over: connection })
        return true
      },
      fail: reject,
    })
  })
}

/** Sends an older command whose answer is lines up to `END`, and gives them as a map. */
export function statistics(send: Send, line: string, asking: Asking): Promise<ReadonlyMap<string, string>> {
  return new Promise((resolve, reject) => {
    const found = new Map<string, string>()
    send({
      asking,
      line: () => `${line}\r\n`,
      take({ status, words: [name = '', ...rest], ...answer }) {
        if (status === 'STAT') {
          found.set(name, rest.join(' '))
          return false
        }
        if (status !== 'END') throw outOfStep({ status, words: [name, ...rest], ...answer })
        resolve(found)
        return true
      },
      fail: reject,
    })
  })
}

/** Sends an older command whose answer is `OK`. */
export function acknowledged(send: Send, line: string, asking: Asking): Promise<void> {
  return new Promise((resolve, reject) => {
    send({
      asking,
      line: () => `${line}\r\n`,
      take(answer) {
        if (answer.status !== 'OK') throw outOfStep(answer)
        resolve()
        return true
      },
      fail: reject,
    })
  })
}

function outOfStep({ status, words }: Answer): Unintelligible {
  return new Unintelligible(`"${[status, ...words].join(' ').slice(0, 80)}" is no answer to this request`)
}
