/**
 * A process of its own over a database, or over a folder where the path doesn't end in `.db`:
 * `child.ts <role> <path> [argument [mode]]`. What it prints, the test reads.
 */

import { writeSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'

import { directoryStore } from '../../../packages/holdfast/src/drivers/directory.ts'
import { openSqliteStore, type SqliteOptions } from '../../../packages/holdfast/src/drivers/sqlite.ts'
import { never } from '../../../packages/holdfast/src/store/record.ts'
import type { Store, Written } from '../../../packages/holdfast/src/store/store.ts'
import { HoldfastError } from '../../../packages/holdfast/src/errors.ts'

const [role = '', path = '', argument = '', mode = 'immediate'] = process.argv.slice(2)

function openStore(options: SqliteOptions = {}): Store {
  return path.endsWith('.db') ? openSqliteStore(path, options) : directoryStore(path, options)
}

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
  const store = openStore({ deadline: '60s' })
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
  const store = openStore({ deadline: '60s' })
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
  const store = openStore({ synchronous: synchronous === 'full' ? 'full' : 'normal' })
  await store.open()
  for (let i = 0; i < 20; i++) {
    const key = { collection: 'sessions', id: `${process.pid}-${i}` }
    await store.create({ key, value: Buffer.from('value'), labels: [`user:${i}`], expiresAt: never })
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
  const store = openStore()
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

/** Creates and replaces many records, eight at a time, and says of each step how it ended. */
async function claim(): Promise<void> {
  const store = openStore({ circuit: false })
  await store.open()
  const ended = async (act: () => Promise<Written>): Promise<Written | string> => {
    try {
      return await act()
    } catch (error) {
      return error instanceof HoldfastError ? error.code : String(error)
    }
  }
  const lane = async (name: number): Promise<void> => {
    for (let i = 0; i < 8; i++) {
      const key = { collection: 'sessions', id: `${name}-${i}` }
      const expiresAt = Date.now() + 3_600_000
      const draft = { key, value: Buffer.from('created'), labels: [`user:${name}`], expiresAt }
      const created = await ended(() => store.create(draft))
      const rewrite = { ...draft, value: Buffer.from('replaced'), labels: ['user:eve'] }
      const replaced =
        typeof created !== 'string' && created.status === 'done'
          ? await ended(() => store.replace({ ...rewrite, expected: created.version }))
          : 'not tried'
      const told = (each: Written | string): string => (typeof each === 'string' ? each : each.status)
      say(JSON.stringify([key.id, told(created), told(replaced)]))
    }
  }
  await Promise.all(Array.from({ length: 8 }, (_, name) => lane(name)))
  await store.close()
}

/** Writes once and goes home without closing anything. */
async function leave(): Promise<void> {
  const store = openStore()
  const key = { collection: 'sessions', id: `left-${argument}` }
  await store.create({ key, value: Buffer.from('value'), expiresAt: never })
  if (store.capabilities.watch) await store.watch(() => undefined)
  say('written')
}

const roles: Readonly<Record<string, () => Promise<void>>> = {
  increment: () => increment(Number(argument)),
  writeForEver,
  writeInTurn: () => writeInTurn(argument),
  hold: () => hold(Number(argument)),
  tryAll,
  claim,
  leave,
}
await roles[role]?.()
