/**
 * `npm run test:mutations`: takes away one line that protects after the other and sees the tests fail that are there
 * for it. `npm run test:mutations -- login` tries those with "login" in their names.
 */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Mutation } from '../test/models/mutations/mutation.ts'
import { mutations } from '../test/models/mutations.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const hook = fileURLToPath(new URL('../test/models/mutated.ts', import.meta.url))
/** Milliseconds. Taking a line away may make a loop endless, and a test that hangs has noticed too. */
const patience = 120_000

const words = process.argv.slice(2)
const chosen = mutations.filter(({ name }) => words.every((word) => name.includes(word)))
const survivors: string[] = []
for (const mutation of chosen) {
  const unnoticed = await unnoticedBy(mutation)
  if (unnoticed.length > 0) survivors.push(mutation.name)
  console.log(unnoticed.length === 0 ? `noticed: ${mutation.name}` : `NOT NOTICED: ${mutation.name}`)
  for (const title of unnoticed) console.log(`  by ${mutation.test}: ${title}`)
}
console.log(
  `\n${chosen.length - survivors.length} of ${chosen.length} were noticed by every test that is there for them`,
)
process.exitCode = survivors.length > 0 ? 1 : 0

/** The titles of the tests that passed, or didn't run, without the line. */
async function unnoticedBy(mutation: Mutation): Promise<readonly string[]> {
  const report = await runMutated(mutation)
  const failed = failures(report)
  return mutation.titles.filter((title) => !failed.some((path) => matches(path, title)))
}

function runMutated({ name, test, titles }: Mutation): Promise<string> {
  const pattern = titles.map((title) => escaped(title.split(' / ').at(-1) ?? title)).join('|')
  const options = ['--conditions=holdfast-source', '--import', hook, '--test', '--test-reporter=tap']
  const environment = { ...process.env, HOLDFAST_MUTATION: name, NODE_TEST_CONTEXT: undefined }
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [...options, `--test-timeout=${patience}`, `--test-name-pattern=${pattern}`, test],
      { cwd: root, env: environment, maxBuffer: 2 ** 26, timeout: 2 * patience },
      (_, output) => resolve(output),
    )
  })
}

/** Group and title of each test that failed. A file that could not be loaded has no such lines. */
function failures(report: string): readonly string[] {
  const failed: string[] = []
  let group = ''
  for (const line of report.split('\n')) {
    const begins = /^# Subtest: (.*)$/.exec(line)
    if (begins) group = begins[1] ?? ''
    const title = /^ {4}not ok \d+ - (.*)$/.exec(line)?.[1]
    if (title !== undefined) failed.push(`${group} / ${title}`)
  }
  return failed
}

/** All parts of a title, in this order. */
function matches(path: string, title: string): boolean {
  let from = 0
  return title.split(' / ').every((part) => {
    const at = path.indexOf(part.replaceAll('\\', ''), from)
    from = at + part.length
    return at >= 0
  })
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}
