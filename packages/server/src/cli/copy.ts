/** `holdfast store copy`: moves everything from one store to another, of whatever kinds. */

import cliProgress from 'cli-progress'
import type { Command } from 'commander'
import { openStore, type Store, transfer, type TransferProgress, type TransferReport } from 'holdfast'
import { addSettings, refuseMissingFile, settingsOf } from './command.ts'
import { Misused } from './failure.ts'
import { interruptible } from './interruption.ts'
import { isInsideOneProcess, storeUrl } from './store-url.ts'
import { json, pairs, type Terminal } from './terminal.ts'
import { examples } from './tokens.ts'

interface CopyFlags {
  readonly toNamespace?: string
  readonly overwrite?: boolean
  readonly restart?: boolean
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
    .argument('<from>', 'the URL of the store to copy; env:NAME takes it from a variable')
    .argument('<to>', 'the URL of the store to copy it to, or env:NAME')
    .option('--to-namespace <name>', 'the namespace in the target (default: the same as in the source)')
    .option(
      '--overwrite',
      'replace what differs in the target; only where nothing but this copy writes to it',
    )
    .option('--restart', 'look at everything again, whatever an earlier run has done')
    .option('--json', 'print JSON')
    .action(async (from: string, to: string, flags: CopyFlags) => {
      const copied = await copy(storeUrl(from, terminal), storeUrl(to, terminal), flags, terminal)
      for (const warning of copied.warnings) terminal.errors.write(`holdfast: warning: ${warning}\n`)
      terminal.output.write(flags.json ? json(copied) : pairs(lines(copied)))
    })
  examples(addSettings(command, ['namespace', 'deadline']), [
    ['holdfast store copy sqlite:holdfast.db redis://localhost', 'moves to another kind of store'],
    ['holdfast store copy redis://old redis://new --to-namespace shop', 'moves into another namespace'],
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
  const bar = flags.json || !terminal.errors.isTTY ? undefined : new Bar(terminal)
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

/** Progress, and how long it still takes. */
class Bar {
  readonly #bar: cliProgress.SingleBar
  #phase: string | undefined

  constructor(terminal: Terminal) {
    this.#bar = new cliProgress.SingleBar({
      format: '{phase} [{bar}] {value} of about {total} records, {eta_formatted} left',
      stream: terminal.errors,
      etaBuffer: 200,
      clearOnComplete: true,
      hideCursor: true,
    })
  }

  show({ phase, records, estimate = records }: TransferProgress): void {
    if (phase !== this.#phase) {
      this.#bar.stop()
      this.#bar.start(estimate, records, { phase })
      this.#phase = phase
      return
    }
    this.#bar.setTotal(estimate)
    this.#bar.update(records)
  }

  stop(): void {
    this.#bar.stop()
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

function refuseMemory(url: string): void {
  if (!isInsideOneProcess(url)) return
  throw new Misused(`${url} is inside one process: it is empty in this one, and ends with it`)
}

/** Whoever connects to it, it is the same store. */
function withoutCredentials(url: string): string {
  return url.replace(/\/\/[^/]*@/, '//')
}
