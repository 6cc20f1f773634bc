/**
 * `introspect`: the endpoint under 64 connections, its caller authenticated, nothing cached, on SQLite; against a bare
 * Fastify route that parses the same form and answers JSON of the same size. Both are processes of their own, loaded
 * by the same client in turn.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import autocannon from 'autocannon'
import { type Benchmark, inTurn } from './measure.ts'
import { inScratch } from './scratch.ts'

const connections = 64
const seconds = 4
const howMany = 500
const root = 'a-root-credential-for-the-benchmark-only'

export const introspect: Benchmark = (settings) =>
  inScratch(async (folder) => {
    const ours = await startService(folder)
    const tokens = await Promise.all(Array.from({ length: howMany }, (_, i) => issue(ours.url, i)))
    const sample = await introspected(ours.url, tokens[0]!)
    const theirs = await startBare(sample.length)
    try {
      const figures = await inTurn(
        settings,
        () => load(`${ours.url}/v1/introspect`, tokens),
        () => load(`${theirs.url}/introspect`, tokens),
      )
      return {
        ...figures,
        unit: 'requests/s',
        note: `${connections} connections, ${howMany} tokens on SQLite, against a bare Fastify route; server and client share the machine`,
      }
    } finally {
      await stop(ours.process)
      await stop(theirs.process)
    }
  })

interface Server {
  readonly url: string
  readonly process: ChildProcess
}

async function startService(folder: string): Promise<Server> {
  const port = await freePort()
  const main = fileURLToPath(new URL('../packages/server/src/cli/main.ts', import.meta.url))
  const child = spawn(process.execPath, ['--conditions=holdfast-source', main, 'serve'], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: {
      ...process.env,
      HOLDFAST_PORT: String(port),
      HOLDFAST_STORE: `sqlite:${join(folder, 'bench.db')}`,
      HOLDFAST_ROOT_TOKEN: root,
      HOLDFAST_LOG_LEVEL: 'error',
    },
  })
  const url = `http://127.0.0.1:${port}`
  for (let tries = 0; ; tries++) {
    const ready = await fetch(`${url}/readyz`).then(
      ({ ok }) => ok,
      () => false,
    )
    if (ready) return { url, process: child }
    if (tries > 200 || child.exitCode !== null) throw new Error('the service did not become ready')
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** A bare route, in a process of its own: the same parser of forms, an answer of the same length. */
async function startBare(length: number): Promise<Server> {
  const file = fileURLToPath(new URL('./bare-route.ts', import.meta.url))
  const child = spawn(process.execPath, [file, String(length)], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [url] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
  return { url, process: child }
}

async function issue(url: string, i: number): Promise<string> {
  const answer = await fetch(`${url}/v1/tokens`, {
    method: 'POST',
    headers: { authorization: `Bearer ${root}`, 'content-type': 'application/json' },
    body: JSON.stringify({ user: `user-${i}`, scopes: ['read', 'write'], expiresIn: '1h' }),
  })
  return ((await answer.json()) as { token: string }).token
}

async function introspected(url: string, token: string): Promise<string> {
  const answer = await fetch(`${url}/v1/introspect`, {
    method: 'POST',
    headers: { authorization: `Bearer ${root}` },
    body: new URLSearchParams({ token }),
  })
  const text = await answer.text()
  if (!text.includes('"active":true')) throw new Error('a token was not active')
  return text
}

async function load(url: string, tokens: readonly string[]): Promise<number> {
  const result = await autocannon({
    url,
    connections,
    duration: seconds,
    requests: tokens.map((token) => ({
      method: 'POST',
      headers: { authorization: `Bearer ${root}`, 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ token }).toString(),
    })),
  })
  if (result.non2xx > 0 || result.errors > 0) throw new Error('some requests failed')
  return result.requests.average
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return
  child.kill('SIGTERM')
  await once(child, 'exit')
}
