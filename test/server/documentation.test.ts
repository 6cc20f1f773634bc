import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, it } from 'node:test'
import { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'
import { HoldfastError } from 'holdfast'
import { exitCodeOf, exitCodes } from '../../packages/server/src/cli/exit-codes.ts'
import { createProgram } from '../../packages/server/src/cli/program.ts'
import type { Setting } from '../../packages/server/src/configuration/kinds.ts'
import { settingKeys, settingsTable } from '../../packages/server/src/configuration/settings.ts'
import { statuses } from '../../packages/server/src/service/refusals.ts'
import { InProcess } from './in-process.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const pages = [
  'README.md',
  'packages/server/README.md',
  'docs/service.md',
  'docs/cli.md',
  'docs/configuration.md',
]

async function page(path: string): Promise<string> {
  return await readFile(join(root, path), 'utf8')
}

/** The cells of all tables whose heading begins with the given names. */
function rows(text: string, ...heading: readonly string[]): string[][] {
  const cells = (line: string) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim().replaceAll('`', ''))
  const lines = text.split('\n')
  const start = lines.findIndex((line) => heading.every((name, i) => cells(line)[i] === name))
  assert.ok(start >= 0, `no table ${heading.join(', ')}`)
  const after = lines.slice(start + 2)
  const end = after.findIndex((line) => !line.startsWith('|'))
  return after.slice(0, end < 0 ? undefined : end).map(cells)
}

function leaves(command: Command, path: string): string[] {
  if (command.commands.length === 0) return [path]
  return command.commands.flatMap((each) => leaves(each, `${path} ${each.name()}`))
}

function program(): Command {
  const nowhere = new Writable({ write: (_text, _encoding, done) => done() })
  return createProgram({
    input: Readable.from([]),
    output: nowhere,
    errors: nowhere,
    environment: {},
    folder: root,
  })
}

/** The codes of the errors that the server's package has beside those of the library. */
async function ownErrors(): Promise<readonly string[]> {
  const folder = join(root, 'packages/server/src')
  const files = (await readdir(folder, { recursive: true })).filter((file) => file.endsWith('.ts'))
  const sources = await Promise.all(files.map((file) => readFile(join(folder, file), 'utf8')))
  return sources.flatMap((source) =>
    [...source.matchAll(/code = '(HOLDFAST_\w+)'/g)].map(([, code]) => code!),
  )
}

class Failed extends HoldfastError {
  readonly code: string

  constructor(code: string) {
    super(code)
    this.code = code
  }
}

describe('the documentation agrees with the code', () => {
  it('docs/configuration.md has every setting with its flag, variable and default, and no other', async () => {
    const documented = rows(await page('docs/configuration.md'), 'key', 'flag', 'environment', 'default')
    const real = settingKeys.map((key) => {
      const { flag, variable, fallback, inFile }: Setting<unknown> = settingsTable[key]
      return [
        inFile ? key : '',
        flag?.split(' ')[0] ?? '',
        variable,
        fallback === undefined ? '' : String(fallback),
      ]
    })
    assert.deepEqual(
      documented.map((cells) => cells.slice(0, 4)),
      real,
    )
    for (const cells of documented) assert.ok((cells[4] ?? '').length > 10, cells[0])
  })

  it('docs/cli.md has every command, and no other', async () => {
    const documented = rows(await page('docs/cli.md'), 'command', 'does').map(([command]) => command)
    assert.deepEqual(documented, leaves(program(), 'holdfast'))
  })

  it('docs/cli.md has every exit code, and no other', async () => {
    const documented = rows(await page('docs/cli.md'), 'code', 'name').map(([code, name]) => [
      name,
      Number(code),
    ])
    assert.deepEqual(documented, Object.entries(exitCodes))
  })

  it('docs/cli.md has every error of the command line’s own with its exit code, and no other', async () => {
    const documented = rows(await page('docs/cli.md'), 'error', 'exit code')
    const real = (await ownErrors()).map((code) => [code, String(exitCodeOf(new Failed(code)))])
    assert.deepEqual(documented.map((cells) => cells.slice(0, 2)).toSorted(), real.toSorted())
  })

  it('docs/service.md has every route, and no other', async () => {
    const service = await new InProcess().start()
    const { paths } = (await service.expect(200, 'GET', '/openapi.json')) as unknown as {
      paths: Record<string, Record<string, unknown>>
    }
    const real = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    )
    const documented = rows(await page('docs/service.md'), 'route', 'does').map(([route]) => route)
    assert.deepEqual(documented.toSorted(), real.toSorted())
  })

  it('docs/service.md has every code with its status, and no other', async () => {
    const documented = rows(await page('docs/service.md'), 'status', 'code').map(([status, code]) => [
      code,
      Number(status),
    ])
    const byCode = (a: readonly unknown[], b: readonly unknown[]) => (String(a[0]) < String(b[0]) ? -1 : 1)
    assert.deepEqual(documented.toSorted(byCode), Object.entries(statuses).toSorted(byCode))
  })

  it('names no flag and no variable that does not exist', async () => {
    const known = new Set(['--', '--help', '--version', '--no-seal'])
    const commands = [program()]
    for (const command of commands) {
      commands.push(...command.commands)
      for (const { long } of command.options) if (long) known.add(long)
    }
    const variables = new Set<string>(settingKeys.map((key) => settingsTable[key].variable))
    const own = await ownErrors()
    for (const path of pages) {
      const text = await page(path)
      for (const [flag] of text.matchAll(/(?<![\w-])--[a-z][a-z-]*/g))
        assert.ok(known.has(flag), `${path}: ${flag}`)
      for (const [name] of text.matchAll(/HOLDFAST_[A-Z_]+/g)) {
        const exists =
          name in statuses ||
          own.includes(name) ||
          variables.has(name) ||
          name === 'HOLDFAST_CONFIG' ||
          name === 'HOLDFAST_'
        assert.ok(exists, `${path}: ${name}`)
      }
    }
  })

  it('has examples in docs/configuration.md that are accepted', async () => {
    const [, example] = /```json\n([^`]+)```/.exec(await page('docs/configuration.md')) ?? []
    for (const [key, value] of Object.entries(JSON.parse(example!) as object)) {
      settingsTable[key as keyof typeof settingsTable].read(value)
    }
  })

  it('has no link to a file that is not there', async () => {
    for (const path of pages) {
      for (const [, link] of (await page(path)).matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)) {
        assert.ok(existsSync(join(root, dirname(path), link!)), `${path}: ${link!}`)
      }
    }
  })
})
