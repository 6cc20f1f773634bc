/** The real service and the real command line as child processes, and a client for them. */

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

/** What `holdfast` runs. */
export const mainFile = new URL('../../packages/server/src/cli/main.ts', import.meta.url).pathname
const nodeFlags = ['--conditions=holdfast-source', '--no-warnings']

/** A folder of its own for one test, removed afterwards. */
export async function folderFor(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-test-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** What a command came to. */
export interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

/** What is not about deadlines waits longer than usual: many tests at once are more than a machine's share of work. */
export const patient = { HOLDFAST_DEADLINE: '30s' }

/** Surroundings of a child process. */
export interface Surroundings {
  readonly folder: string
  readonly environment?: Readonly<Record<string, string>>
  readonly input?: string
  readonly uid?: number
}

/** Runs one command line to its end. */
export async function holdfast(line: readonly string[], surroundings: Surroundings): Promise<Ended> {
  const child = start(line, surroundings)
  child.stdin?.end(surroundings.input ?? '')
  return await ended(child)
}

/** Waits for the end of what was started just now. */
export async function ended(child: ChildProcess): Promise<Ended> {
  const { out, err } = gathered(child)
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, out: out(), err: err() }
}

/** An answer of the service. */
export interface Answer {
  readonly status: number
  readonly headers: Headers
  /** The parsed JSON; `undefined` where there was no body. */
  // The tests look into answers of every shape; what they find there is asserted.
  readonly body: Tree
  readonly text: string
}

/** JSON to look into without naming every shape. */
export type Tree = { readonly [name: string]: Tree } & { readonly [index: number]: Tree } & readonly Tree[] &
  string

/** What goes with a request. */
export interface RequestOptions {
  /** @default the root credential; null: none */
  readonly as?: string | null
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as it is instead of JSON. */
  readonly raw?: string
  readonly form?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

/** A running service. */
export class Server {
  readonly address: string
  readonly root: string
  readonly child: ChildProcess
  readonly #read: { out: () => string; err: () => string }
  readonly #closed: Promise<unknown>

  constructor(child: ChildProcess, read: Server['output'], address: string, root: string) {
    this.child = child
    this.#read = read
    this.address = address
    this.root = root
    this.#closed = once(child, 'close')
  }

  /** What it has written. */
  get output(): { out: () => string; err: () => string } {
    return this.#read
  }

  async call(method: string, path: string, body?: unknown, options: RequestOptions = {}): Promise<Answer> {
    const { as = this.root, headers = {}, raw, form, signal } = options
    const payload =
      raw ??
      (form ? new URLSearchParams(form).toString() : body === undefined ? undefined : JSON.stringify(body))
    const type = form ? 'application/x-www-form-urlencoded' : 'application/json'
    const response = await fetch(this.address + path, {
      method,
      headers: {
        ...(as === null ? {} : { authorization: `Bearer ${as}` }),
        ...(payload === undefined ? {} : { 'content-type': type }),
        ...headers,
      },
      ...(payload === undefined ? {} : { body: payload }),
      ...(signal ? { signal } : {}),
    })
    const text = await response.text()
    return { status: response.status, headers: response.headers, text, body: parsed(text) }
  }

  /** Calls and insists on the status. */
  async expect(
    status: number,
    method: string,
    path: string,
    body?: unknown,
    options?: RequestOptions,
  ): Promise<Tree> {
    const answer = await this.call(method, path, body, options)
    assert.equal(answer.status, status, `${method} ${path} answered ${answer.status}: ${answer.text}`)
    return answer.body
  }

  /** Sends a signal and waits for the end. */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill(signal)
    return await this.ended()
  }

  /** Waits for the end and gives the exit code. */
  async ended(): Promise<number | null> {
    await this.#closed
    return this.child.exitCode
  }
}

/** Starts a service on a free port and waits until it listens. Ended with the test, unless it ended before. */
export async function serve(
  t: TestContext,
  surroundings: Surroundings,
  line: readonly string[] = [],
): Promise<Server> {
  const environment = { HOLDFAST_PORT: '0', ...surroundings.environment }
  const child = start(['serve', ...line], { ...surroundings, environment })
  t.after(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'close')
  })
  const read = gathered(child)
  const address = await listening(child, read)
  return new Server(child, read, address, await rootOf(surroundings))
}

async function rootOf({ folder, environment = {} }: Surroundings): Promise<string> {
  const given = environment['HOLDFAST_ROOT_TOKEN']
  if (given !== undefined) return given
  return (await readFile(join(folder, '.holdfast/root-token'), 'utf8').catch(() => '')).trim()
}

/** Starts the program, which whoever calls has to end. */
export function start(
  line: readonly string[],
  { folder, environment = {}, uid }: Surroundings,
): ChildProcess {
  // With NODE_OPTIONS an older Node.js is told to run TypeScript.
  const { PATH, HOME, NODE_COMPILE_CACHE, NODE_OPTIONS } = process.env
  return spawn(process.execPath, [...nodeFlags, mainFile, ...line], {
    cwd: folder,
    env: { PATH, HOME, NODE_COMPILE_CACHE, NODE_OPTIONS, ...patient, ...environment },
    ...(uid === undefined ? {} : { uid, gid: uid }),
  })
}

function gathered(child: ChildProcess): { out: () => string; err: () => string } {
  let out = ''
  let err = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (out += text))
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (err += text))
  return { out: () => out, err: () => err }
}

async function listening(child: ChildProcess, { out, err }: ReturnType<typeof gathered>): Promise<string> {
  const found = () => / on (http:\/\/\S+),/.exec(out())?.[1]
  await new Promise<void>((resolve, reject) => {
    child.stdout?.on('data', () => found() && resolve())
    child.on('close', (code) => reject(new Error(`the service ended with ${String(code)}: ${err()}`)))
  })
  return found()!
}

/** A credential whose checksum is wrong. */
export function tampered(credential: string): string {
  return credential.slice(0, -1) + (credential.endsWith('0') ? '1' : '0')
}

function parsed(text: string): Tree {
  try {
    return JSON.parse(text) as Tree
  } catch {
    return undefined as unknown as Tree
  }
}
