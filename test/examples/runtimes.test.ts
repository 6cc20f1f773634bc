/** The examples on other runtimes than Node.js. */

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { places } from '../stores/places.ts'
import { type Runtime, start, visit, visitBySocket } from './example.ts'

/** What stands on nothing but their own servers, and what stands on their `node:http`. */
const examples = ['fetch', 'h3', 'hono', 'node', 'connect', 'express', 'nest', 'fastify', 'koa']
/** What the plain handler is run over, besides memory. */
const stores = ['SQLite', 'a folder', 'PostgreSQL', 'Redis']
const seldom = process.env['HOLDFAST_TEST_LONG'] !== '1' && 'it takes a minute: in the long run only'
const mainFile = fileURLToPath(new URL('../../packages/server/src/cli/main.ts', import.meta.url))
const upgradeFile = fileURLToPath(new URL('bun-upgrade.ts', import.meta.url))

interface OtherRuntime extends Runtime {
  readonly name: string
  readonly skip: string | false
}

const runtimes: readonly OtherRuntime[] = [
  {
    ...found('Bun'),
    arguments: ['--conditions=holdfast-source'],
  },
  {
    ...found('Deno'),
    arguments: [
      'run',
      '--no-lock',
      '--node-modules-dir=manual',
      '--conditions=holdfast-source',
      '--allow-all',
    ],
  },
]

for (const runtime of runtimes) {
  describe(`on ${runtime.name}`, { skip: runtime.skip }, () => {
    for (const name of examples) {
      it(`examples/${name}`, async () => {
        await paid(runtime, name, { STORE: 'memory:' })
      })
    }

    it('examples/websocket', async () => {
      await paid(runtime, 'websocket', {}, visitBySocket)
    })

    it(
      'its own server upgrades behind the door',
      { skip: runtime.name !== 'Bun' && 'a matter of Bun’s' },
      async () => {
        const { stdout, stderr } = await promisify(execFile)(runtime.program, [
          ...runtime.arguments,
          upgradeFile,
        ])
        assert.deepEqual({ stdout, stderr }, { stdout: 'welcome ada', stderr: '' })
      },
    )

    it('holdfast store check passes over SQLite', { skip: seldom }, async (t) => {
      const folder = await mkdtemp(join(tmpdir(), 'holdfast-runtime-'))
      t.after(() => rm(folder, { recursive: true }))
      const line = [...runtime.arguments, mainFile, 'store', 'check', `sqlite://${folder}/store.db`]
      const { stdout } = await promisify(execFile)(runtime.program, line)
      assert.match(stdout, /\n\d{3} passed, 0 failed, in /)
    })

    for (const store of stores) {
      const place = places.find((each) => each.name === store)!
      it(`examples/fetch over ${store}`, { skip: place.skip }, async () => {
        const room = await place.room()
        try {
          await paid(runtime, 'fetch', { STORE: room.url, NAMESPACE: room.namespace })
        } finally {
          await room.remove()
        }
      })
    }
  })
}

async function paid(
  runtime: Runtime,
  name: string,
  environment: Readonly<Record<string, string>>,
  pay = visit,
): Promise<void> {
  const example = await start(name, environment, runtime)
  try {
    await pay(example)
  } finally {
    assert.equal((await example.stop()).code, 0)
  }
}

function found(name: string): {
  readonly name: string
  readonly program: string
  readonly skip: string | false
} {
  const variable = `HOLDFAST_TEST_${name.toUpperCase()}`
  const program = process.env[variable] ?? ''
  return { name, program, skip: program === '' && `${variable} is not set: run this by \`npm test\`` }
}
