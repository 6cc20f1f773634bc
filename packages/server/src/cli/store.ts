/** `holdfast store`: what the store is and can do, and removing the expired. */

import cliProgress from 'cli-progress'
import type { Command } from 'commander'
import { type Store, sweepAll } from 'holdfast'
import { addAudit } from './audit.ts'
import { addCheck } from './check.ts'
import { addSettings, storeCommandSettings, withStore } from './command.ts'
import { addCopy } from './copy.ts'
import { addMigrate } from './migrate.ts'
import { json, pairs, type Terminal } from './terminal.ts'
import { type Probed, probed } from './tier-probe.ts'
import { examples } from './tokens.ts'

/**
 * What is counted for `info`, tombstones included: they are records like the living until their retention is over.
 * More than this many is shown as such.
 */
const counted = ['sessions', 'tokens'] as const
const countAtMost = 100_000

/** Adds the commands. */
export function addStoreCommands(program: Command, terminal: Terminal): void {
  const store = program.command('store').description('look at stores, check, audit, copy and sweep them')
  addInfo(store, terminal)
  addSweep(store, terminal)
  addCheck(store, terminal)
  addAudit(store, terminal)
  addCopy(store, terminal)
  addMigrate(store, terminal)
}

function addInfo(parent: Command, terminal: Terminal): void {
  const command = parent
    .command('info')
    .description('what the store is, what it can do, and how much is in it')
    .option('--json', 'print JSON')
    .action(async (flags: { readonly json?: boolean }) => {
      const info = await withStore({ ...flags }, terminal, ({ store }) => infoOf(store))
      terminal.output.write(flags.json ? json(info) : shownInfo(info))
    })
  examples(addSettings(command, storeCommandSettings), [
    ['holdfast store info --store redis://localhost', 'what a server promises with its present settings'],
    [
      'holdfast store info --store "tiered: memory: redis://cache postgres://host/db"',
      'how its tiers do, too',
    ],
  ])
}

function addSweep(parent: Command, terminal: Terminal): void {
  const command = parent
    .command('sweep')
    .description('remove what has expired; the service does so by itself, several may do so at once')
    .option('--json', 'print JSON')
    .action(async (flags: { readonly json?: boolean }) => {
      const progress = flags.json || !terminal.errors.isTTY ? undefined : progressBar(terminal)
      const [removed, { capabilities, description }] = await withStore(
        { ...flags },
        terminal,
        async ({ store }) =>
          [
            await sweepAll(store, { onProgress: (soFar) => progress?.update(soFar) }),
            await store.open(),
          ] as const,
      ).finally(() => progress?.stop())
      terminal.output.write(flags.json ? json({ removed }) : `${removed} removed\n`)
      // Its server drops the expired, and can't tell what: there is nothing to remove here.
      if (capabilities.nativeExpiry && !capabilities.scanning)
        terminal.errors.write(`nothing to sweep: ${description} drops what has expired by itself\n`)
    })
  examples(addSettings(command, storeCommandSettings), [
    ['holdfast store sweep --store sqlite:holdfast.db', 'from cron, where no service runs'],
  ])
}

async function infoOf(store: Store) {
  const tiers = await probed(store)
  const { capabilities, description, skew } = await store.open()
  const records: Record<string, number | string> = {}
  if (capabilities.counting) {
    for (const collection of counted) {
      const number = await store.count(collection, { atMost: countAtMost })
      records[collection] = number < countAtMost ? number : `${countAtMost} or more`
    }
  }
  return {
    store: description,
    namespace: store.namespace,
    ...(skew === undefined ? {} : { skewMs: skew }),
    records,
    capabilities,
    ...withTiers(tiers),
  }
}

function withTiers(tiers: Probed | undefined): { readonly tiers?: Probed } {
  return tiers ? { tiers } : {}
}

function shownInfo({ capabilities, records, tiers, ...rest }: Awaited<ReturnType<typeof infoOf>>): string {
  const lines = { ...rest, ...flat(records, 'records '), ...flat(capabilities) }
  return pairs(tiers ? { ...lines, ...shownTiers(tiers) } : lines)
}

/** Figures that are no more than a moment's, and are called so. */
function shownTiers({ read, reason, tiers }: Probed): Record<string, unknown> {
  const lines = tiers.map((tier, i) => {
    const { operations: _, ...figures } = 'operations' in tier ? tier : { ...tier, operations: undefined }
    return flat(figures, `tier ${i + 1} `)
  })
  const how = reason ?? `by reading ${read} ${read === 1 ? 'record' : 'records'} twice just now`
  return Object.assign({ 'tiers, tried': how }, ...lines) as Record<string, unknown>
}

/** Capabilities one a line: `durable.process`. */
function flat(values: object, prefix = ''): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(values).flatMap(([name, value]: [string, unknown]) =>
      typeof value === 'object' && value !== null
        ? Object.entries(flat(value, `${prefix}${name}.`))
        : [[`${prefix}${name}`, value]],
    ),
  )
}

/** How many there are to remove is not known before they are removed, so it counts up. */
function progressBar(terminal: Terminal): cliProgress.SingleBar {
  const bar = new cliProgress.SingleBar({
    format: 'removed {value} records in {duration_formatted}',
    stream: terminal.errors,
    clearOnComplete: true,
    hideCursor: true,
  })
  bar.start(Number.MAX_SAFE_INTEGER, 0)
  return bar
}
