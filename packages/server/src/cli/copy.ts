/** `holdfast store copy`: moves everything from one store to another, of whatever kinds. */

import type { Command } from 'commander'
import { openStore, type Store, transfer, type TransferReport } from 'holdfast'
import { addSettings, refuseMissingFile, settingsOf } from './command.ts'
import { CopyBar } from './copy-bar.ts'
import { copyOld, linesOfOld } from './copy-old.ts'
import { Misused } from './failure.ts'
import { interruptible } from './interruption.ts'
import { isOldStore } from './old-store.ts'
import { isInsideOneProcess, storeUrl } from './store-url.ts'
import { json, pairs, type Terminal } from './terminal.ts'
import { examples } from './tokens.ts'

interface CopyFlags {
  readonly toNamespace?: string
  readonly overwrite?: boolean
  readonly restart?: boolean
  readonly user?: string
  readonly seal?: boolean
  readonly json?: boolean
}

/** The most that any store can be configured for, so that every value fits. */
const maxValue = 512 * 1024

/** Adds the command. */
export function addCopy(parent: Command, terminal: Terminal): void {
  const command = parent
    .command('copy')
    .description(
      'copy everything from one store to another, then compare them; stop every service that uses either first. ' +
        'Run again after it was ended, it goes on where it was',
    )
    .argument(
      '<from>',
      'the URL of the store to copy; env:NAME takes it from a variable. Also of sessions that another library stored: ' +
        'connect-redis+redis://…, connect-pg-simple+postgres://…, connect-mongo+mongodb://…, session-file-store:…',
    )
    .argument('<to>', 'the URL of the store to copy it to, or env:NAME')
    .option('--to-namespace <name>', 'the namespace in the target (default: the same as in the source)')
    .option(
      '--overwrite',
      'replace what differs in the target; only where nothing but this copy writes to it',
    )
    .option(
      '--user <member>',
      'from another library: where the data of a session names its user, such as passport.user',
    )
    .option('--restart', 'look at everything again, whatever an earlier run has done')
    .option('--json', 'print JSON')
    .action(async (from: string, to: string, flags: CopyFlags) => {
      const urls = { from: storeUrl(from, terminal), to: storeUrl(to, terminal) }
      if (isOldStore(urls.from)) {
        refuseMemory(urls.to)
        const told = await copyOld(urls, flags, settingsOf({ ...flags }, terminal), terminal)
        terminal.output.write(flags.json ? json(told) : pairs(linesOfOld(told)))
        return
      }
      refuseForeign(flags)
      const copied = await copy(urls.from, urls.to, flags, terminal)
      for (const warning of copied.warnings) terminal.errors.write(`holdfast: warning: ${warning}\n`)
      terminal.output.write(flags.json ? json(copied) : pairs(lines(copied)))
    })
  examples(addSettings(command, ['namespace', 'deadline', 'stateFolder', 'seal']), [
    ['holdfast store copy sqlite:holdfast.db redis://localhost', 'moves to another kind of store'],
    ['holdfast store copy redis://old redis://new --to-namespace shop', 'moves into another namespace'],
    [
      'holdfast store copy connect-redis+redis://localhost sqlite:holdfast.db --user passport.user',
      'takes over what connect-redis stored; see docs/migration.md',
    ],
  ])
}

interface Copied extends TransferReport {
  readonly source: string
  readonly target: string
  readonly seconds: number
}

async function copy(from: string, to: string, flags: CopyFlags, terminal: Terminal): Promise<Copied> {
  const settings = settingsOf({ ...flags }, terminal)
  for (const url of [from, to]) refuseMemory(url)
  refuseMissingFile({ store: from }, terminal)
  const { namespace, deadline } = settings
  const source = await openStore(from, { namespace, deadline })
  try {
    const target = await openStore(to, { namespace: flags.toNamespace ?? namespace, deadline, maxValue })
    try {
      return await copied(source, target, from, flags, terminal)
    } finally {
      await target.close()
    }
  } finally {
    await source.close()
  }
}

async function copied(
  source: Store,
  target: Store,
  url: string,
  flags: CopyFlags,
  terminal: Terminal,
): Promise<Copied> {
  const described = [(await source.open()).description, (await target.open()).description] as const
  const bar = flags.json || !terminal.errors.isTTY ? undefined : new CopyBar(terminal)
  const began = performance.now()
  try {
    const report = await interruptible('ended before it was done; the same command goes on there', (signal) =>
      transfer(source, target, {
        name: [withoutCredentials(url), described[0], source.namespace].join('\n'),
        conflicts: flags.overwrite ? 'overwrite' : 'fail',
        restart: flags.restart ?? false,
        signal,
        onProgress: (progress) => bar?.show(progress),
      }),
    )
    return {
      source: `${described[0]}, namespace ${source.namespace}`,
      target: `${described[1]}, namespace ${target.namespace}`,
      ...report,
      seconds: Math.round(performance.now() - began) / 1_000,
    }
  } finally {
    bar?.stop()
  }
}

function lines({ source, target, from, to, ...report }: Copied): Record<string, unknown> {
  const { created, present, overwritten, left, others, resumed, seconds } = report
  return {
    from: source,
    to: target,
    records: from.records,
    'of these created now': created,
    'there before': present,
    ...(overwritten > 0 ? { overwritten } : {}),
    ...(left > 0 ? { 'expired, left behind': left } : {}),
    ...(others ? { 'others in the target': others } : {}),
    ...(resumed ? { 'went on with an earlier run': 'yes' } : {}),
    verified: to?.digest === from.digest ? 'count and digest are equal' : 'each record was read back',
    digest: from.digest,
    seconds,
  }
}

/** Values are copied as they are, sealed or not. */
function refuseForeign({ user, seal }: CopyFlags): void {
  if (user === undefined && seal === undefined) return
  throw new Misused('--user and --seal are for sessions that another library stored')
}

function refuseMemory(url: string): void {
  if (!isInsideOneProcess(url)) return
  throw new Misused(`${url} is inside one process: it is empty in this one, and ends with it`)
}

/** Whoever connects to it, it is the same store. */
function withoutCredentials(url: string): string {
  return url.replace(/\/\/[^/]*@/, '//')
}
