/** What all commands share: their flags for settings, and a store that is opened for them and closed again. */

import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { type Command, Option } from 'commander'
import { openStore, sealedCodec, Sessions, type Store, StoreUnavailable, Tokens } from 'holdfast'
import { configure } from '../configuration/configuration.ts'
import type { Setting } from '../configuration/kinds.ts'
import { type SettingKey, type Settings, settingsTable } from '../configuration/settings.ts'
import { ringOfService } from '../installation/installation.ts'
import { Misused } from './failure.ts'
import { isInsideOneProcess } from './store-url.ts'
import type { Terminal } from './terminal.ts'

/** The flags that every command has. */
export interface CommonFlags {
  readonly config?: string
  readonly json?: boolean
  readonly verbose?: boolean
}

/** What a command works on. */
export interface Opened {
  readonly store: Store
  readonly sessions: Sessions
  readonly tokens: Tokens
  readonly settings: Settings
}

/** The settings that a command on a store takes. */
export const storeCommandSettings = [
  'store',
  'namespace',
  'deadline',
  'stateFolder',
  'seal',
  'acceptPlain',
  'sessionIdle',
  'sessionAbsolute',
] as const satisfies readonly SettingKey[]

/** Adds the flags of settings, and those that every command has. */
export function addSettings(command: Command, keys: readonly SettingKey[]): Command {
  for (const key of keys) {
    const setting: Setting<unknown> = settingsTable[key]
    if (setting.flag === undefined) continue
    command.addOption(
      new Option(setting.flag, `${setting.says} (${setting.variable}; default ${String(setting.fallback)})`),
    )
    if (typeof setting.fallback === 'boolean') {
      command.addOption(new Option(setting.flag.replace('--', '--no-')).hideHelp())
    }
  }
  command.option(
    '--config <file>',
    'a file with settings (HOLDFAST_CONFIG; default holdfast.json, if there is one)',
  )
  return command.option('--verbose', 'on failure, also print where it came from')
}

/** The settings for a command: flags, environment, file. */
export function settingsOf(flags: Readonly<Record<string, unknown>>, terminal: Terminal): Settings {
  const { config } = flags as CommonFlags
  const { environment, folder } = terminal
  return configure({ flags, environment, folder, ...(config === undefined ? {} : { file: config }) }).settings
}

/**
 * Opens the store for one command and closes it whatever happens.
 *
 * @param options.mayCreate Whether a file that isn't there yet may be made. @default false
 */
export async function withStore<R>(
  flags: Readonly<Record<string, unknown>>,
  terminal: Terminal,
  work: (opened: Opened) => Promise<R>,
  { mayCreate = false }: { readonly mayCreate?: boolean } = {},
): Promise<R> {
  const settings = settingsOf(flags, terminal)
  refuseMemory(settings)
  if (!mayCreate) refuseMissingFile(settings, terminal)
  const ring = await ringOfService(settings)
  const store = await openStore(settings.store, {
    namespace: settings.namespace,
    deadline: settings.deadline,
    ...(ring ? { codec: sealedCodec(ring, { acceptPlain: settings.acceptPlain }) } : {}),
  })
  try {
    const sessions = new Sessions(store, { idle: settings.sessionIdle, absolute: settings.sessionAbsolute })
    return await work({ store, sessions, tokens: new Tokens(store), settings })
  } finally {
    await store.close()
  }
}

function refuseMemory({ store }: Settings): void {
  if (!isInsideOneProcess(store)) return
  throw new Misused(
    `${store} is inside one process, so this command would look into an empty store of its own; ask the service ` +
      'over HTTP, or name its store with --store',
  )
}

/** A mistyped path would be made into an empty store, and its emptiness taken for an answer. */
export function refuseMissingFile({ store }: Pick<Settings, 'store'>, { folder }: Terminal): void {
  const [, path] = /^(?:sqlite|file|dir):(?:\/\/)?([^?#%]+)$/.exec(store) ?? []
  if (path === undefined || existsSync(resolve(folder, path))) return
  throw new StoreUnavailable(
    `there is no store at ${resolve(folder, path)}; the service makes it at its first start`,
  )
}

/** For options that may be given several times. */
export function collected(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value]
}

/** Reads a count from the command line. */
export function count(text: string): number {
  const number = Number(text)
  if (!/^\d{1,6}$/.test(text) || number < 1)
    throw new Misused(`a count is a whole number above 0, not ${text}`)
  return number
}

/** A page of a listing, filled up: a store may answer with short pages. */
export async function filled<Item>(
  wanted: number,
  start: string | undefined,
  page: (options: {
    limit: number
    after?: string
  }) => Promise<{ items: readonly Item[]; next?: string | undefined }>,
): Promise<{ items: readonly Item[]; next?: string }> {
  const items: Item[] = []
  let after = start
  do {
    const limit = Math.min(1000, wanted - items.length)
    const got = await page({ limit, ...(after === undefined ? {} : { after }) })
    items.push(...got.items)
    after = got.next
  } while (after !== undefined && items.length < wanted)
  return { items, ...(after === undefined ? {} : { next: after }) }
}
