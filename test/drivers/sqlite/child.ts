/** A process of its own over a database: `child.ts <role> <path> [argument [mode]]`. What it prints, the test reads. */

import { writeSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'

import { openSqliteStore } from '../../../packages/holdfast/src/drivers/sqlite.ts'
import { never } from '../../../packages/holdfast/src/store/record.ts'

const [role = '', path = '', argument = '', mode = 'immediate'] = process.argv.slice(2)

const pause = new Int32Array(new SharedArrayBuffer(4))

/** Written at once, so that a kill can't lose what was said before it. */
function say(line: string): void {
  const bytes = Buffer.from(`${line}\n`)
  for (let written = 0; written < bytes.length;) {
    try {
      written += writeSync(1, bytes, written)
    } catch (error) {
      // The test is slow to read.
      if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) throw error
      Atomics.wait(pause, 0, 0, 1)
    }
  }
}

/** Counts the shared record up by compare-and-swap and says how many were acknowledged. */
async function increment(times: number): Promise<void> {
  const store = openSqliteStore(path, { deadline: '60s' })
  const key = { collection: 'counters', id: 'shared' }
  let acknowledged = 0
  while (acknowledged < times) {
    const record = await store.read(key)
    if (!record) throw new Error('the counter is gone')
    const value = Buffer.from(String(Number(Buffer.from(record.value).toString()) + 1))
    const { status } = await store.replace({ key, expected: record.version, value, expiresAt: never })
    if (status === 'done') acknowledged++
  }
  say(`acknowledged ${acknowledged}`)
  await store.close()
}

/** Writes for ever, sixteen at a time, and names each record when it is acknowledged. */
async function writeForEver(): Promise<void> {
  const store = openSqliteStore(path, { deadline: '60s' })
  await store.open()
  say('ready')
  const lane = async (name: number): Promise<void> => {
    for (let i = 0; ; i++) {
      const id = `${process.pid}-${name}-${i}`
      await store.create({
        key: { collection: 'sessions', id },
        value: Buffer.from(id),
        labels: ['user:ada'],
        expiresAt: never,
      })
      say(id)
    }
  }
  await Promise.all(Array.from({ length: 16 }, (_, name) => lane(name)))
}

/** One write after the other, each followed by its acknowledgement. */
async function writeInTurn(synchronous: string): Promise<void> {
  const store = openSqliteStore(path, { synchronous: synchronous === 'full' ? 'full' : 'normal' })
  await store.open()
  for (let i = 0; i < 20; i++) {
    const key = { collection: 'sessions', id: `${process.pid}-${i}` }
    await store.create({ key, value: Buffer.from('value'), expiresAt: never })
    say(`ack ${i}`)
  }
  await store.close()
}

/** Keeps the write lock for a while, or in mode `exclusive` the file. */
async function hold(ms: number): Promise<void> {
  const database = new DatabaseSync(path)
  database.exec(`begin ${mode}`)
  say('held')
  await sleep(ms)
  database.exec('commit')
  database.close()
}

/** Tries everything and says how it ended. */
async function tryAll(): Promise<void> {
  const store = openSqliteStore(path)
  const key = { collection: 'sessions', id: 'there' }
  const ended = async (act: () => unknown): Promise<unknown> => {
    try {
      return await act()
    } catch (error) {
      return error instanceof Error && 'code' in error
        ? { code: error.code, message: error.message }
        : String(error)
    }
  }
  const opened = await ended(async () => (await store.open()).description)
  const read = await ended(async () => Buffer.from((await store.read(key))?.value ?? []).toString())
  const write = await ended(
    async () => await store.create({ key: { ...key, id: 'new' }, value: Buffer.from(''), expiresAt: never }),
  )
  say(JSON.stringify({ opened, read, write }))
  await store.close()
}

/** Writes once and goes home without closing anything. */
async function leave(): Promise<void> {
  const store = openSqliteStore(path)
  const key = { collection: 'sessions', id: `left-${argument}` }
  await store.create({ key, value: Buffer.from('value'), expiresAt: never })
  await store.watch(() => undefined)
  say('written')
}

const roles: Readonly<Record<string, () => Promise<void>>> = {
  increment: () => increment(Number(argument)),
  writeForEver,
  writeInTurn: () => writeInTurn(argument),
  hold: () => hold(Number(argument)),
  tryAll,
  leave,
}
await roles[role]?.()
