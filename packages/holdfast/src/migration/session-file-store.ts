/**
 * What session-file-store stored: a file `<id>.json` per session.
 *
 * It ends so long after its last access (`__lastAccess` in the file) as its cookie's `originalMaxAge` says, and without
 * one after `ttl`. An id that would not be a plain name in the folder has no file.
 * Tried with session-file-store 1.5.
 */

import { readdir, readFile, rm, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { type Duration, milliseconds } from '../duration.ts'
import { StoreMisconfigured } from '../errors.ts'
import type { OldPage, OldScan, OldSession, OldSessions, OldSessionsOptions } from './old-sessions.ts'
import { type Content, isSid, pageLimit, Reading } from './reading.ts'
import { compareBytes } from '../store/record.ts'
import { cursorsAt, startOf } from './sid-order.ts'

/** Settings of {@link sessionFileStoreSessions}. */
export interface SessionFileStoreOptions extends OldSessionsOptions {
  /** Its option `ttl`, which was in seconds there: the life of sessions whose cookie has no `maxAge`. @default '1h' */
  readonly ttl?: Duration
  /** @default '.json' */
  readonly fileExtension?: string
}

/**
 * Reads what session-file-store stored.
 *
 * @param folder Its option `path`.
 */
export function sessionFileStoreSessions(folder: string, options: SessionFileStoreOptions = {}): OldSessions {
  return new SessionFileStore(folder, options)
}

class SessionFileStore implements OldSessions {
  readonly description: string
  readonly #folder: string
  readonly #ttl: number
  readonly #extension: string
  readonly #reading: Reading
  /** The names in order, from the first page of a scan on: reading the folder at each page would cost its square. */
  #names: readonly string[] | undefined

  constructor(folder: string, options: SessionFileStoreOptions) {
    this.#folder = folder
    this.#ttl = milliseconds(options.ttl ?? '1h', 'ttl')
    this.#extension = options.fileExtension ?? '.json'
    this.description = `session-file-store (folder ${folder})`
    this.#reading = new Reading(this.description, options)
  }

  async read(sid: string, { signal }: { readonly signal?: AbortSignal } = {}) {
    const path = this.#path(sid)
    return path === undefined ? undefined : await this.#session(sid, path, signal)
  }

  async remove(sid: string): Promise<void> {
    const path = this.#path(sid)
    if (path === undefined) return
    await this.#reading.asked(() => rm(path).catch((error: unknown) => this.#unlessAbsent(error)))
  }

  async scan(scan: OldScan = {}): Promise<OldPage> {
    const limit = pageLimit(scan)
    const { from, inclusive } = startOf(scan.after)
    if (scan.after === undefined) this.#names = undefined
    this.#names ??= await this.#listed()
    const names = this.#names
    const start = names.findIndex((name) => {
      const order = compareBytes(name, from)
      return order > 0 || (inclusive && order === 0)
    })
    const sids = start < 0 ? [] : names.slice(start, start + limit)
    const sessions = await Promise.all(sids.map((sid) => this.read(sid)))
    const last = sids.at(-1)
    const isEnd = last === undefined || start + limit >= names.length
    if (isEnd) this.#names = undefined
    return {
      sessions: sessions.filter((each) => each !== undefined),
      ...(isEnd ? {} : cursorsAt(last)),
    }
  }

  async count(): Promise<number> {
    return (await this.#listed()).length
  }

  async #session(sid: string, path: string, signal?: AbortSignal): Promise<OldSession | undefined> {
    const text = await this.#reading.asked(
      () => readFile(path, 'utf8').catch((error: unknown) => this.#unlessAbsent(error)),
      signal,
    )
    if (text === undefined) return undefined
    const content = this.#reading.content(sid, text)
    if (!content) return undefined
    const { __lastAccess: lastAccess, ...data } = content.data
    const expiresAt = typeof lastAccess === 'number' ? lastAccess + this.#life(content) : Number.NaN
    return this.#reading.live(sid, { ...content, data }, expiresAt)
  }

  /** Milliseconds from the last access to the end. */
  #life({ cookie }: Content): number {
    const maxAge = cookie?.['originalMaxAge']
    if (maxAge === undefined || maxAge === null || maxAge === 0) return this.#ttl
    return typeof maxAge === 'number' ? maxAge : Number.NaN
  }

  /** Where the file of this id would be; `undefined` where that isn't a plain name in the folder. */
  #path(sid: string): string | undefined {
    if (!isSid(sid)) return undefined
    const name = sid + this.#extension
    const isPlain =
      basename(name) === name &&
      !/[/\\:]/.test(name) &&
      name !== '.' &&
      name !== '..' &&
      Buffer.byteLength(name) <= 255
    return isPlain ? join(this.#folder, name) : undefined
  }

  async #listed(): Promise<readonly string[]> {
    const names = await this.#reading.asked(() =>
      readdir(this.#folder).catch((error: unknown) => this.#unlessAbsent(error)),
    )
    return (names ?? [])
      .filter((name) => name.endsWith(this.#extension))
      .map((name) => name.slice(0, name.length - this.#extension.length))
      .filter((sid) => this.#path(sid) !== undefined)
      .sort(compareBytes)
  }

  /** A missing file is an answer; a missing folder is a disk that isn't there, and must not look like a logout. */
  async #unlessAbsent(error: unknown): Promise<undefined> {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EISDIR' || code === 'ENAMETOOLONG') return undefined
    if (code !== 'ENOENT') throw error
    const folder = await stat(this.#folder).catch(() => undefined)
    if (folder?.isDirectory()) return undefined
    throw new StoreMisconfigured(`${this.description}: there is no such folder`, { cause: error })
  }
}
