/** `holdfast tokens`: issue, list, verify and revoke API tokens. */

import type { Command } from 'commander'
import type { Duration, IssueOptions } from 'holdfast'
import { tokenResource } from '../resources.ts'
import { addSettings, collected, count, filled, storeCommandSettings, withStore } from './command.ts'
import { Misused, NotFound } from './failure.ts'
import { argumentOrInput, json, pairs, shown, table, type Terminal } from './terminal.ts'

interface IssueFlags {
  readonly user: string
  readonly scope?: readonly string[]
  readonly name?: string
  readonly label?: readonly string[]
  readonly expiresIn?: string
  readonly expiresAt?: string
  readonly quiet?: boolean
  readonly json?: boolean
}

interface SelectionFlags {
  readonly user?: string
  readonly label?: readonly string[]
  readonly after?: string
  readonly limit?: number
  readonly json?: boolean
}

/** Adds the commands. */
export function addTokenCommands(program: Command, terminal: Terminal): void {
  const tokens = program.command('tokens').description('issue, list, verify and revoke API tokens')
  addIssue(tokens, terminal)
  addList(tokens, terminal)
  addVerify(tokens, terminal)
  addRevoke(tokens, terminal)
}

function addIssue(tokens: Command, terminal: Terminal): void {
  const command = tokens
    .command('issue')
    .description('make a token; its credential is printed once, and only on standard output')
    .requiredOption('--user <user>', 'whose token it is')
    .option('--scope <scope>', 'what it may be used for; may be given several times', collected)
    .option('--expires-in <duration>', 'such as 90s, 1h or 30d, or never (default 1h)')
    .option('--expires-at <instant>', 'such as 2026-12-31T00:00:00Z')
    .option('--name <name>', "unique among the user's live tokens")
    .option(
      '--label <name:value>',
      'what it can be listed and revoked by; may be given several times',
      collected,
    )
    .option('--quiet', 'print the credential and nothing else')
    .option('--json', 'print JSON')
    .action(async (flags: IssueFlags) => {
      const made = await withStore({ ...flags }, terminal, ({ tokens: all }) => all.issue(wanted(flags)), {
        mayCreate: true,
      })
      const resource = tokenResource(made.token)
      if (flags.json) {
        terminal.output.write(json({ token: made.credential, ...resource }))
        return
      }
      terminal.output.write(`${made.credential}\n`)
      if (!flags.quiet) terminal.errors.write(pairs(resource))
    })
  examples(addSettings(command, storeCommandSettings), [
    [
      'holdfast tokens issue --user ada --scope read --expires-in 30d',
      'shows the credential, then its details',
    ],
    ['TOKEN=$(holdfast tokens issue --user ci --expires-in 1h --quiet)', 'keeps it in a variable'],
  ])
}

function addList(tokens: Command, terminal: Terminal): void {
  const command = selection(tokens.command('list').description('list live tokens, never their credentials'))
    .option('--after <cursor>', 'go on where the page before ended')
    .option('--limit <count>', 'the most to list (default 100)', count)
    .option('--json', 'print JSON')
    .action(async (flags: SelectionFlags) => {
      const page = await withStore({ ...flags }, terminal, ({ tokens: all }) =>
        filled(flags.limit ?? 100, flags.after, async (paging) => {
          const { tokens: items, next } = await all.list({ ...selected(flags), ...paging })
          return { items, next }
        }),
      )
      const resources = page.items.map(tokenResource)
      const next = page.next === undefined ? {} : { next: page.next }
      if (flags.json) {
        terminal.output.write(json({ tokens: resources, ...next }))
        return
      }
      const rows = resources.map((each) => [
        each.id,
        each.user,
        shown(each.name),
        shown(each.scopes),
        shown(each.expiresAt),
      ])
      terminal.output.write(table(['ID', 'USER', 'NAME', 'SCOPES', 'EXPIRES'], rows))
      if (page.next !== undefined) terminal.errors.write(`there are more: --after ${page.next}\n`)
    })
  examples(addSettings(command, storeCommandSettings), [
    ['holdfast tokens list --user ada', "one user's tokens"],
    ['holdfast tokens list --label tenant:acme --json', 'for a script'],
  ])
}

function addVerify(tokens: Command, terminal: Terminal): void {
  const command = tokens
    .command('verify')
    .description('tell whether a credential is a live token; exit code 3 if not')
    .argument('<credential>', 'the whole credential; - reads it from standard input')
    .option('--json', 'print JSON')
    .action(async (argument: string, flags: { readonly json?: boolean }) => {
      const credential = await argumentOrInput(argument, terminal)
      const token = await withStore({ ...flags }, terminal, ({ tokens: all }) => all.verify(credential))
      if (!token) {
        if (flags.json) terminal.output.write(json({ active: false }))
        throw new NotFound('this is not a live token: it was revoked, has expired, or never was one')
      }
      const resource = { active: true, ...tokenResource(token) }
      terminal.output.write(flags.json ? json(resource) : pairs(resource))
    })
  examples(addSettings(command, storeCommandSettings), [
    ['holdfast tokens verify - < token.txt', 'keeps the credential out of the process list'],
  ])
}

function addRevoke(tokens: Command, terminal: Terminal): void {
  const command = selection(
    tokens.command('revoke').description('revoke one token, or all of a user or with labels'),
  )
    .argument('[token]', 'its id, or the whole credential; - reads it from standard input')
    .option('--json', 'print JSON')
    .action(async (argument: string | undefined, flags: SelectionFlags) => {
      const one = await oneOrMany(argument, flags, terminal)
      const revoked = await withStore({ ...flags }, terminal, async ({ tokens: all }) => {
        if (one === undefined) return (await all.revokeAll(selected(flags))).length
        return Number(await (one.includes('.') ? all.revokeCredential(one) : all.revoke(one)))
      })
      if (one !== undefined && revoked === 0) throw new NotFound('there is no such live token')
      terminal.output.write(flags.json ? json({ revoked }) : `${revoked} revoked\n`)
    })
  examples(addSettings(command, storeCommandSettings), [
    ['holdfast tokens revoke 3q2-7w…', 'one, by its id; an id that begins with - comes after --'],
    ['holdfast tokens revoke - < token.txt', 'one, by its credential'],
    ['holdfast tokens revoke --user ada', "all of a user's"],
  ])
}

/** The one that was named, read from standard input where asked; `undefined` where all of a selection are meant. */
export async function oneOrMany(
  argument: string | undefined,
  flags: { readonly user?: string; readonly label?: readonly string[] },
  terminal: Terminal,
): Promise<string | undefined> {
  const many = flags.user !== undefined || flags.label !== undefined
  if ((argument === undefined) !== many)
    throw new Misused('name one, or say whose with --user or --label, not both')
  return argument === undefined ? undefined : await argumentOrInput(argument, terminal)
}

/** Adds the flags that select by user and labels. */
export function selection(command: Command): Command {
  return command
    .option('--user <user>', 'those of this user')
    .option('--label <name:value>', 'those with this label; several: all must match', collected)
}

/** The selection for the library. */
export function selected({ user, label }: { readonly user?: string; readonly label?: readonly string[] }) {
  return { ...(user === undefined ? {} : { user }), ...(label === undefined ? {} : { labels: label }) }
}

/** Adds examples to a command's help. */
export function examples(command: Command, lines: readonly (readonly [string, string])[]): void {
  const text = lines.map(([line, says]) => `  ${line}\n      ${says}`).join('\n')
  command.addHelpText('after', `\nExamples:\n${text}`)
}

function wanted(flags: IssueFlags): IssueOptions {
  return {
    user: flags.user,
    scopes: flags.scope ?? [],
    ...lifetime(flags),
    ...(flags.name === undefined ? {} : { name: flags.name }),
    ...(flags.label === undefined ? {} : { labels: flags.label }),
  }
}

function lifetime({ expiresIn, expiresAt }: IssueFlags) {
  if (expiresIn !== undefined && expiresAt !== undefined) {
    throw new Misused('say when it ends with --expires-in or with --expires-at, not with both')
  }
  if (expiresAt === undefined) return expiresIn === undefined ? {} : { expiresIn: expiresIn as Duration }
  const instant = Date.parse(expiresAt)
  if (Number.isNaN(instant)) throw new Misused(`--expires-at is like 2026-12-31T00:00:00Z, not ${expiresAt}`)
  return { expiresAt: instant }
}
