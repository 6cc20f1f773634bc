/**
 * The one place that merges settings: a flag beats the environment, which beats `holdfast.json`, which beats the
 * default. What is not known is refused, and a bad value is refused with the place that it came from.
 */

import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { ConfigurationInvalid, type Setting } from './kinds.ts'
import { type SettingKey, type Settings, settingKeys, settingsTable } from './settings.ts'

/** The file that is read from the working directory when there is one. */
export const defaultFile = 'holdfast.json'
/** The environment variable that names another file. */
export const fileVariable = 'HOLDFAST_CONFIG'

/** Where settings may come from. */
export interface Sources {
  /** By key, as given on the command line. */
  readonly flags?: Readonly<Partial<Record<SettingKey, unknown>>>
  /** The file named on the command line, which must then exist. */
  readonly file?: string
  /** @default process.env */
  readonly environment?: Readonly<Record<string, string | undefined>>
  /** @default process.cwd() */
  readonly folder?: string
}

/** The settings, and where each came from. */
export interface Configuration {
  readonly settings: Settings
  /** Such as `--port`, `HOLDFAST_PORT`, `"port" in /etc/holdfast.json` or `the default`. */
  readonly origins: Readonly<Record<SettingKey, string>>
}

interface Given {
  readonly raw: unknown
  readonly origin: string
}

/** Merges all sources. @throws {ConfigurationInvalid} */
export function configure({
  flags = {},
  file,
  environment = process.env,
  folder = process.cwd(),
}: Sources = {}) {
  const written = readFile(file ?? present(environment[fileVariable]), folder)
  const settings: Partial<Record<SettingKey, unknown>> = {}
  const origins: Partial<Record<SettingKey, string>> = {}
  for (const key of settingKeys) {
    const { raw, origin } =
      fromFlag(key, flags) ?? fromEnvironment(key, environment) ?? written.get(key) ?? fromDefault(key)
    settings[key] = read(key, raw, origin)
    origins[key] = origin
  }
  refuseContradictions(settings as Settings, origins as Configuration['origins'])
  return { settings, origins } as Configuration
}

function fromFlag(key: SettingKey, flags: Sources['flags'] & object): Given | undefined {
  const raw = flags[key]
  return raw === undefined ? undefined : { raw, origin: flagName(key) }
}

function fromEnvironment(key: SettingKey, environment: Sources['environment'] & object): Given | undefined {
  const { variable } = settingsTable[key]
  const raw = present(environment[variable])
  return raw === undefined ? undefined : { raw, origin: variable }
}

function fromDefault(key: SettingKey): Given {
  return { raw: settingsTable[key].fallback, origin: 'the default' }
}

/** An empty variable is how many tools write "not set". */
function present(value: string | undefined): string | undefined {
  return value === '' ? undefined : value
}

function read(key: SettingKey, raw: unknown, origin: string): unknown {
  try {
    return settingsTable[key].read(raw)
  } catch (error) {
    // The value of a secret stays out of the message.
    const shown = key === 'rootToken' ? '' : `, not ${JSON.stringify(raw)}`
    throw new ConfigurationInvalid(`${origin} ${(error as Error).message}${shown}`)
  }
}

function readFile(named: string | undefined, folder: string): ReadonlyMap<SettingKey, Given> {
  const path = resolve(folder, named ?? defaultFile)
  const text = fileText(path, named !== undefined)
  if (text === undefined) return new Map()
  const entries = Object.entries(parseObject(text, path))
  const known: readonly string[] = settingKeys.filter((key) => settingsTable[key].inFile)
  const unknown = entries.map(([key]) => key).filter((key) => !known.includes(key))
  if (unknown.length > 0) throw new ConfigurationInvalid(refusal(unknown, known, path))
  return new Map(
    entries.map(([key, raw]: [string, unknown]) => [
      key as SettingKey,
      { raw, origin: `"${key}" in ${path}` },
    ]),
  )
}

function fileText(path: string, required: boolean): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException
    if (code === 'ENOENT' && !required) return undefined
    throw new ConfigurationInvalid(`the configuration file cannot be read: ${message}`, { cause })
  }
}

function parseObject(text: string, path: string): object {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch (cause) {
    throw new ConfigurationInvalid(`${path} is not JSON: ${(cause as Error).message}`, { cause })
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw new ConfigurationInvalid(`${path} must hold one JSON object`)
  }
  return parsed
}

function refusal(unknown: readonly string[], known: readonly string[], path: string): string {
  const names = unknown.map((key) => JSON.stringify(key)).join(', ')
  const secret = unknown.includes('rootToken')
    ? ' Give the root credential in HOLDFAST_ROOT_TOKEN instead.'
    : ''
  return `${path} has unknown keys: ${names}. Known are ${known.join(', ')}.${secret}`
}

function refuseContradictions(settings: Settings, origins: Configuration['origins']): void {
  if (settings.acceptPlain && !settings.seal) {
    throw new ConfigurationInvalid(
      `${origins.acceptPlain} needs sealing to be on: set seal as well, or drop it`,
    )
  }
  if (settings.sessionIdle > settings.sessionAbsolute) {
    throw new ConfigurationInvalid(
      `a session's idle timeout (${origins.sessionIdle}) must not be longer than its absolute one ` +
        `(${origins.sessionAbsolute})`,
    )
  }
}

/** `--port <number>` is called `--port`. */
function flagName(key: SettingKey): string {
  const { flag, variable }: Setting<unknown> = settingsTable[key]
  return flag?.split(' ')[0] ?? variable
}
