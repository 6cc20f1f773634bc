/** The examples on other runtimes than Node.js. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { places } from '../stores/places.ts'
import { type Runtime, start, visit, visitBySocket } from './example.ts'

/** What stands on nothing but their own servers, and what stands on their `node:http`. */
const examples = ['fetch', 'h3', 'hono', 'node', 'connect', 'express', 'nest', 'fastify', 'koa']

interface OtherRuntime extends Runtime {
  readonly name: string
  readonly skip: string | false
  /** The stores that the plain handler is run over, besides memory. */
  readonly stores: readonly string[]
}

const runtimes: readonly OtherRuntime[] = [
  {
    ...found('Bun'),
    arguments: ['--conditions=holdfast-source'],
    stores: ['SQLite', 'a folder', 'PostgreSQL', 'Redis'],
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
    // The thread that writes for SQLite needs what Deno's `node:worker_threads` has not.
    stores: ['a folder', 'PostgreSQL', 'Redis'],
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

    for (const store of runtime.stores) {
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
