/** `holdfast sessions`: list, show and end sessions. */

import type { Command } from 'commander'
import { sessionResource } from '../resources.ts'
import { addSettings, count, filled, storeCommandSettings, withStore } from './command.ts'
import { NotFound } from './failure.ts'
import { json, pairs, shown, table, type Terminal } from './terminal.ts'
import { examples, oneOrMany, selected, selection } from './tokens.ts'

interface SelectionFlags {
  readonly user?: string
  readonly label?: readonly string[]
  readonly after?: string
  readonly limit?: number
  readonly except?: string
  readonly json?: boolean
}

/** Adds the commands. */
export function addSessionCommands(program: Command, terminal: Terminal): void {
  const sessions = program.command('sessions').description('list, show and end sessions')
  addList(sessions, terminal)
  addShow(sessions, terminal)
  addRevoke(sessions, terminal)
}

function addList(sessions: Command, terminal: Terminal): void {
  const command = selection(
    sessions.command('list').description('list live sessions, never their credentials'),
  )
    .option('--after <cursor>', 'go on where the page before ended')
    .option('--limit <count>', 'the most to list (default 100)', count)
    .option('--json', 'print JSON')
    .action(async (flags: SelectionFlags) => {
      const page = await withStore({ ...flags }, terminal, ({ sessions: all }) =>
        filled(flags.limit ?? 100, flags.after, async (paging) => {
          const { sessions: items, next } = await all.list({ ...selected(flags), ...paging })
          return { items, next }
        }),
      )
      const resources = page.items.map(sessionResource)
      const next = page.next === undefined ? {} : { next: page.next }
      if (flags.json) {
        terminal.output.write(json({ sessions: resources, ...next }))
        return
      }
      const rows = resources.map((each) => [
        each.id,
        shown(each.user),
        each.touchedAt,
        shown(each.expiresAt),
        shown(each.labels),
      ])
      terminal.output.write(table(['ID', 'USER', 'LAST USED', 'EXPIRES', 'LABELS'], rows))
      if (page.next !== undefined) terminal.errors.write(`there are more: --after ${page.next}\n`)
    })
  examples(addSettings(command, storeCommandSettings), [
    ['holdfast sessions list --user ada', "one user's sessions"],
  ])
}

function addShow(sessions: Command, terminal: Terminal): void {
  const command = sessions
    .command('show')
    .description('show a live session with its data; exit code 3 if there is none')
    .argument('<id>', 'its id; one that begins with - comes after --')
    .option('--json', 'print JSON')
    .action(async (id: string, flags: { readonly json?: boolean }) => {
      const found = await withStore({ ...flags }, terminal, ({ sessions: all }) => all.get(id))
      if (!found) throw new NotFound('there is no such live session')
      const resource = sessionResource(found)
      terminal.output.write(flags.json ? json(resource) : pairs(resource))
    })
  examples(addSettings(command, storeCommandSettings), [
    ['holdfast sessions show 3q2-7w… --json', 'for a script'],
  ])
}

function addRevoke(sessions: Command, terminal: Terminal): void {
  const command = selection(
    sessions.command('revoke').description('end one session, or all of a user or with labels'),
  )
    .argument('[id]', 'its id; one that begins with - comes after --')
    .option('--except <id>', 'with --user or --label: spare this one')
    .option('--json', 'print JSON')
    .action(async (argument: string | undefined, flags: SelectionFlags) => {
      const one = await oneOrMany(argument, flags, terminal)
      const revoked = await withStore({ ...flags }, terminal, async ({ sessions: all }) => {
        if (one !== undefined) return Number(await all.destroy(one))
        return await all.revoke({
          ...selected(flags),
          ...(flags.except === undefined ? {} : { except: flags.except }),
        })
      })
      if (one !== undefined && revoked === 0) throw new NotFound('there is no such live session')
      terminal.output.write(flags.json ? json({ revoked }) : `${revoked} ended\n`)
    })
  examples(addSettings(command, storeCommandSettings), [
    ['holdfast sessions revoke --user ada', 'log ada out everywhere'],
    ['holdfast sessions revoke --user ada --except 3q2-7w…', 'everywhere but here'],
  ])
}
