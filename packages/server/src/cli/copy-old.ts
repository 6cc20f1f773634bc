/** `holdfast store copy` from where another library keeps its sessions. */

import { type Codec, type JsonObject, KeyedSessions, openStore, sealedCodec, type Store } from 'holdfast'
import { type CopiedSessions, copyOldSessions } from 'holdfast/migration'
import type { Settings } from '../configuration/settings.ts'
import { ringOfService } from '../installation/installation.ts'
import { CopyBar } from './copy-bar.ts'
import { Misused } from './failure.ts'
import { interruptible } from './interruption.ts'
import { openOldStore, type OldStore } from './old-store.ts'
import type { Terminal } from './terminal.ts'

/** What such a copy is told. */
export interface CopyOldFlags {
  readonly toNamespace?: string
  readonly user?: string
  readonly overwrite?: boolean
  readonly restart?: boolean
  readonly json?: boolean
}

/** What such a copy did. */
export interface CopiedOld extends CopiedSessions {
  readonly source: string
  readonly target: string
  /** What could not be read, and was left behind. */
  readonly malformed: number
  readonly seconds: number
}

/** The most that any store can be configured for, so that every session fits. */
const maxValue = 512 * 1024

/** Copies, and tells what it did. */
export async function copyOld(
  urls: { readonly from: string; readonly to: string },
  flags: CopyOldFlags,
  settings: Settings,
  terminal: Terminal,
): Promise<CopiedOld> {
  if (flags.overwrite) throw new Misused('--overwrite is for copies between stores of Holdfast')
  const malformed = new Set<string>()
  const { deadline } = settings
  const onMalformed = ({ id }: { readonly id: string }) => void malformed.add(id)
  const ring = await ringOfService(settings)
  const codec = ring ? { codec: sealedCodec(ring, { acceptPlain: settings.acceptPlain }) } : {}
  const source = await openOldStore(urls.from, { deadline, onMalformed })
  try {
    const target = await opened(urls.to, flags.toNamespace ?? settings.namespace, { deadline, ...codec })
    try {
      const began = performance.now()
      const copied = await carriedOver(source, target, urls.from, flags, terminal)
      const { description } = await target.open()
      return {
        source: source.old.description,
        target: `${description}, namespace ${target.namespace}`,
        ...copied,
        malformed: malformed.size,
        seconds: Math.round(performance.now() - began) / 1_000,
      }
    } finally {
      await target.close()
    }
  } finally {
    await source.close()
  }
}

async function opened(
  url: string,
  namespace: string,
  options: { readonly deadline: Settings['deadline']; readonly codec?: Codec },
): Promise<Store> {
  return await openStore(url, { namespace, maxValue, ...options })
}

async function carriedOver(
  { old }: OldStore,
  target: Store,
  url: string,
  { user, restart = false, json }: CopyOldFlags,
  terminal: Terminal,
): Promise<CopiedSessions> {
  const bar = json || !terminal.errors.isTTY ? undefined : new CopyBar(terminal)
  const userOf = user === undefined ? undefined : userAt(user)
  try {
    return await interruptible('ended before it was done; the same command goes on there', (signal) =>
      copyOldSessions(
        old,
        (reader) => new KeyedSessions(target, { old: reader, ...(userOf && { userOf }) }),
        {
          // Whoever connects to it, it is the same store.
          name: `${url.replace(/\/\/[^/]*@/, '//')}\n${old.description}`,
          restart,
          signal,
          onProgress: (progress) => bar?.show(progress),
        },
      ),
    )
  } finally {
    bar?.stop()
  }
}

/** The lines that tell people of it. */
export function linesOfOld(copied: CopiedOld): Record<string, unknown> {
  const { source, target, sessions, created, present, refused, changed, malformed, resumed, seconds } = copied
  return {
    from: source,
    to: target,
    sessions,
    'of these created now': created,
    'there before': present,
    ...(refused > 0 ? { 'refused, their user was revoked': refused } : {}),
    ...(changed > 0 ? { 'used in the target since': changed } : {}),
    ...(malformed > 0 ? { 'malformed, left behind': malformed } : {}),
    ...(resumed ? { 'went on with an earlier run': 'yes' } : {}),
    verified: 'each session was read back',
    seconds,
  }
}

/** Who a session belongs to: a member of its data, `passport.user`. */
function userAt(path: string): (data: JsonObject) => string | undefined {
  const names = path.split('.')
  if (names.includes(''))
    throw new Misused(`--user is the path of a member, such as passport.user, not ${path}`)
  return (data) => {
    let value: unknown = data
    for (const name of names) {
      if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
      value = (value as Record<string, unknown>)[name]
    }
    return typeof value === 'string' && value !== ''
      ? value
      : typeof value === 'number'
        ? `${value}`
        : undefined
  }
}
