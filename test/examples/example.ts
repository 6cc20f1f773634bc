/** An example, started as its reader would start it. */

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { WebSocket } from 'ws'
import { Visitor } from '../../packages/holdfast/src/testing/web/visitor.ts'

/** Where the examples are. */
export const examplesFolder = fileURLToPath(new URL('../../examples/', import.meta.url))

/** What an example is run on. */
export interface Runtime {
  readonly program: string
  /** What it is told before the program. */
  readonly arguments: readonly string[]
}

export const node: Runtime = {
  program: process.execPath,
  arguments: ['--conditions=holdfast-source', '--disable-warning=ExperimentalWarning'],
}

/** An example that runs. */
export interface Running {
  /** Without a slash at its end. */
  readonly url: string
  /** Asks it to stop. @returns how it ended, and what it said on standard error. */
  stop(): Promise<{ readonly code: number | null; readonly complaints: string }>
}

/** Milliseconds that an example may take to listen, and to stop: a disk may need long to read its runtime. */
const patience = 120_000

/**
 * Starts `server.ts` of an example.
 *
 * @param environment Besides the one of this process.
 * @throws {Error} with its last words, when it ends or keeps silent.
 */
export async function start(
  name: string,
  environment: Readonly<Record<string, string>> = {},
  runtime = node,
): Promise<Running> {
  const child = spawn(runtime.program, [...runtime.arguments, `${examplesFolder}${name}/server.ts`], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, PORT: '0', ...environment },
  })
  let complaints = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (complaints += text))
  const ended = once(child, 'exit') as Promise<[number | null]>
  const impatience = setTimeout(() => child.kill('SIGKILL'), patience)
  const url = await Promise.race([
    listening(child.stdout),
    ended.then(([code]) => {
      throw new Error(`${name} ended with ${code}: ${complaints}`)
    }),
  ])
  clearTimeout(impatience)
  return {
    url,
    async stop() {
      child.kill('SIGTERM')
      const last = setTimeout(() => child.kill('SIGKILL'), patience)
      const [code] = await ended
      clearTimeout(last)
      return { code, complaints }
    },
  }
}

/** The address that it says it listens on. */
async function listening(output: NodeJS.ReadableStream): Promise<string> {
  for await (const line of createInterface({ input: output })) {
    const [, url] = /^listening on (http:\/\/\S+)$/.exec(line) ?? []
    if (url !== undefined) return url
  }
  return await new Promise(() => undefined)
}

/** A visit to an example: logs in, changes two things at once, then twenty, and logs out. */
export async function visit({ url }: Running): Promise<void> {
  const visitor = new Visitor(url)
  assert.deepEqual(await shown(visitor), { user: null, visits: 1, data: { visits: 1 } })
  const login = await visitor.post('/login?user=ada')
  assert.deepEqual([login.status, login.headers.get('location')], [303, '/'])
  const tab = visitor.copy()
  const keys = ['theme', 'language', ...Array.from({ length: 20 }, (_, i) => `key${i}`)]
  const answers = await Promise.all(
    keys.map((key, i) => (i % 2 === 0 ? visitor : tab).get(`/set?key=${key}&value=set`)),
  )
  assert.deepEqual(
    answers.map(({ status }) => status),
    keys.map(() => 200),
  )
  const data = { visits: 2, ...Object.fromEntries(keys.map((key) => [key, 'set'])) }
  assert.deepEqual(await shown(visitor), { user: 'ada', visits: 2, data })
  const fromElsewhere = await tab.post('/logout', { origin: 'https://elsewhere.example' })
  assert.equal(fromElsewhere.status, 403)
  assert.equal((await visitor.post('/logout')).status, 303)
  assert.deepEqual(await shown(tab), { user: null, visits: 1, data: { visits: 1 } })
}

/** What an example shows of the session. */
export async function shown(visitor: Visitor): Promise<{ user: unknown }> {
  const { status, body } = await visitor.get('/')
  assert.equal(status, 200, body)
  return JSON.parse(body) as { user: unknown }
}

/** A visit to the example of WebSockets, whose sockets are for its own users, and end with their session. */
export async function visitBySocket({ url }: Running): Promise<void> {
  const visitor = new Visitor(url)
  assert.equal(await socket(url, visitor).closed, 4401)
  await visitor.post('/login?user=ada')
  const sockets = [socket(url, visitor), socket(url, visitor)]
  assert.deepEqual(await Promise.all(sockets.map(({ greeted }) => greeted)), ['hello ada', 'hello ada'])
  await assert.rejects(socket(url, visitor, 'https://elsewhere.example').greeted, /403/)
  await visitor.post('/logout')
  assert.deepEqual(await Promise.all(sockets.map(({ closed }) => closed)), [4401, 4401])
}

function socket(url: string, { jar }: Visitor, origin?: string) {
  const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ')
  const ws = new WebSocket(url.replace('http', 'ws'), {
    headers: { cookie },
    ...(origin === undefined ? {} : { origin }),
  })
  const greeted = once(ws, 'message').then(([text]) => String(text))
  const closed = once(ws, 'close').then(([code]) => Number(code))
  for (const each of [greeted, closed]) each.catch(() => undefined)
  return { greeted, closed }
}
