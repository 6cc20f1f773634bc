/**
 * Every setting, once: its key in `holdfast.json`, its environment variable, its flag, its default and its one line of
 * help. `docs/configuration.md` is checked against this table.
 */

import { duration, oneOf, rootCredential, size, type Setting, text, wholeNumber, yesOrNo } from './kinds.ts'

const hour = 3_600_000
const day = 24 * hour
const longestTimer = 2_147_483_647

/** The settings by their keys. */
export const settingsTable = {
  store: setting('HOLDFAST_STORE', '--store <url>', 'sqlite:holdfast.db', text, {
    says: 'where records are kept: sqlite:<file>, postgres://<host>/<database>, redis://<host>, … (docs/drivers)',
  }),
  namespace: setting('HOLDFAST_NAMESPACE', '--namespace <name>', 'holdfast', text, {
    says: 'keeps several applications on one store apart',
  }),
  deadline: setting('HOLDFAST_DEADLINE', '--deadline <duration>', '5s', duration(1, hour), {
    says: 'how long one call of the store may take',
  }),
  stateFolder: setting('HOLDFAST_STATE_FOLDER', '--state-folder <path>', '.holdfast', text, {
    says: 'where the root credential and the key ring are kept',
  }),
  seal: setting('HOLDFAST_SEAL', '--seal', false, yesOrNo, {
    says: 'seal stored values under the key ring',
  }),
  acceptPlain: setting('HOLDFAST_ACCEPT_PLAIN', '--accept-plain', false, yesOrNo, {
    says: 'with --seal, also read values that were stored before sealing was switched on',
  }),
  host: setting('HOLDFAST_HOST', '--host <address>', '127.0.0.1', text, {
    says: 'the address that the service listens on',
  }),
  port: setting('HOLDFAST_PORT', '--port <number>', 7070, wholeNumber(0, 65_535), {
    says: 'the port that the service listens on; 0 takes a free one',
  }),
  bodyLimit: setting('HOLDFAST_BODY_LIMIT', '--body-limit <size>', '256KiB', size(1024, 1024 * 1024), {
    says: 'the longest request body',
  }),
  sessionIdle: setting(
    'HOLDFAST_SESSION_IDLE',
    '--session-idle <duration>',
    '30m',
    duration(1000, 400 * day),
    {
      says: 'a session ends when it was not used for this long',
    },
  ),
  sessionAbsolute: setting(
    'HOLDFAST_SESSION_ABSOLUTE',
    '--session-absolute <duration>',
    '12h',
    duration(1000, 400 * day),
    { says: 'a session ends this long after its login, however busy it is' },
  ),
  sweepEvery: setting(
    'HOLDFAST_SWEEP_EVERY',
    '--sweep-every <duration>',
    '5m',
    duration(0, longestTimer / 2),
    {
      says: 'how often the service removes the expired; 0ms: never',
    },
  ),
  shutdownDelay: setting('HOLDFAST_SHUTDOWN_DELAY', '--shutdown-delay <duration>', '0ms', duration(0, hour), {
    says: 'how long to go on answering, not ready, after a signal to stop',
  }),
  shutdownGrace: setting('HOLDFAST_SHUTDOWN_GRACE', '--shutdown-grace <duration>', '10s', duration(0, hour), {
    says: 'how long requests under way may take to finish after that',
  }),
  logLevel: setting(
    'HOLDFAST_LOG_LEVEL',
    '--log-level <level>',
    'info',
    oneOf('fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'),
    { says: 'which log lines the service writes' },
  ),
  rootToken: {
    variable: 'HOLDFAST_ROOT_TOKEN',
    inFile: false,
    fallback: undefined,
    read: (raw: unknown) => (raw === undefined ? undefined : rootCredential(raw)),
    says: 'the root credential; nothing is generated and nothing of it is written down',
  },
} satisfies Readonly<Record<string, Setting<unknown>>>

/** The key of a setting in `holdfast.json`. */
export type SettingKey = keyof typeof settingsTable

/** All settings with their values. Durations are milliseconds, sizes bytes. */
export type Settings = {
  readonly [Key in SettingKey]: ReturnType<(typeof settingsTable)[Key]['read']>
}

/** The keys in the order of the table. */
export const settingKeys = Object.keys(settingsTable) as readonly SettingKey[]

/** The settings that every command needs to find its store. */
export const storeSettings = [
  'store',
  'namespace',
  'deadline',
  'stateFolder',
  'seal',
  'acceptPlain',
] as const satisfies readonly SettingKey[]

function setting<T>(
  variable: `HOLDFAST_${string}`,
  flag: `--${string}`,
  fallback: string | number | boolean,
  read: (raw: unknown) => T,
  { says }: { readonly says: string },
): Setting<T> {
  return { variable, flag, inFile: true, fallback, read, says }
}
