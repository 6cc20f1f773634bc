/** `holdfast store audit`: compares caches and listings with the records that count, and mends them if told to. */

import cliProgress from 'cli-progress'
import type { Command } from 'commander'
import { type AuditProgress, type AuditReport, auditStore, HoldfastError } from 'holdfast'
import { addSettings, storeCommandSettings, withStore } from './command.ts'
import { interruptible } from './interruption.ts'
import { json, pairs, table, type Terminal } from './terminal.ts'
import { examples } from './tokens.ts'

/** Something is wrong, and was not mended. */
export class AuditFailed extends HoldfastError {
  readonly code = 'HOLDFAST_AUDIT_FAILED'
}

interface AuditFlags {
  readonly fix?: boolean
  readonly json?: boolean
}

interface Audited extends AuditReport {
  readonly store: string
  readonly seconds: number
}

/** Adds the command. */
export function addAudit(parent: Command, terminal: Terminal): void {
  const command = parent
    .command('audit')
    .description(
      'compare what shared caches hold with the truth, and what listings find with the records; ' +
        'services may go on meanwhile',
    )
    .option('--fix', 'remove wrong entries from caches, and list anew what is not listed')
    .option('--json', 'print JSON')
    .action(async (flags: AuditFlags) => {
      const audited = await audit(flags, terminal)
      for (const warning of audited.warnings) terminal.errors.write(`holdfast: warning: ${warning}\n`)
      terminal.output.write(flags.json ? json(audited) : shown(audited))
      refuseLeft(audited, flags)
    })
  examples(addSettings(command, storeCommandSettings), [
    [
      'holdfast store audit --store "tiered: redis://cache postgres://host/db"',
      'only looks; exit code 1 if it finds',
    ],
    ['holdfast store audit --fix', 'mends what it finds in the store of the service'],
  ])
}

async function audit(flags: AuditFlags, terminal: Terminal): Promise<Audited> {
  const bar = flags.json || !terminal.errors.isTTY ? undefined : new Bar(terminal)
  const began = performance.now()
  try {
    return await withStore({ ...flags }, terminal, async ({ store }) => {
      const { description } = await store.open()
      const report = await interruptible('ended before everything was looked at', (signal) =>
        auditStore(store, {
          fix: flags.fix ?? false,
          signal,
          onProgress: (progress) => bar?.show(progress),
        }),
      )
      return { store: description, ...report, seconds: Math.round(performance.now() - began) / 1_000 }
    })
  } finally {
    bar?.stop()
  }
}

function refuseLeft({ found, fixed }: Audited, { fix }: AuditFlags): void {
  const left = found - fixed
  if (left === 0) return
  const things = left === 1 ? '1 thing is' : `${left} things are`
  throw new AuditFailed(
    fix ? `${things} wrong and could not be mended` : `${things} wrong; --fix mends what can be mended`,
  )
}

function shown({ store, caches, records, listings, found, fixed, findings, seconds }: Audited): string {
  const entries = caches
    .filter((each) => each.audited)
    .map(({ cache, entries: count }) => [`entries in ${cache}`, count] as const)
  const rows = findings.map(({ kind, message, fixed: isFixed }) => [
    kind,
    isFixed ? 'fixed' : 'left',
    message,
  ])
  const more = found > findings.length ? `and ${found - findings.length} more\n` : ''
  const summary = pairs({ store, ...Object.fromEntries(entries), records, listings, found, fixed, seconds })
  return rows.length === 0 ? summary : `${summary}\n${table(['KIND', 'NOW', 'WHAT'], rows)}${more}`
}

/** How far it is. How many records or entries there are isn't known before they were looked at. */
class Bar {
  readonly #bar: cliProgress.SingleBar
  #phase: string | undefined

  constructor(terminal: Terminal) {
    this.#bar = new cliProgress.SingleBar({
      format: 'looked at {value} {phase} in {duration_formatted}',
      stream: terminal.errors,
      clearOnComplete: true,
      hideCursor: true,
    })
  }

  show({ phase, done, total = Number.MAX_SAFE_INTEGER }: AuditProgress): void {
    const what = total === Number.MAX_SAFE_INTEGER ? phase : `of ${total} ${phase}`
    if (what !== this.#phase) {
      this.#bar.stop()
      this.#bar.start(total, done, { phase: what })
      this.#phase = what
    }
    this.#bar.update(done)
  }

  stop(): void {
    this.#bar.stop()
  }
}
