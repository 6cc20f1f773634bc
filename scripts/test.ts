/**
 * `npm test`: finds or starts the servers that the tests need, runs the tests against them, and says at the end
 * what was run, what was not, and why.
 *
 *   npm test                                   everything
 *   npm test -- test/store redis               files below a folder, and files with `redis` in their path
 *   npm test -- --test-name-pattern=destroy    tests whose title matches
 *   npm test -- --servers=none                 no server, or only those named: --servers=redis,redis-cluster
 *   npm run test:long                          what takes minutes, too
 */
import { glob } from 'node:fs/promises'
import { join, relative, resolve, sep } from 'node:path'
import { parseArgs } from 'node:util'
import { root } from './root.ts'
import { serverKinds } from './servers/index.ts'
import type { ServerKind } from './servers/kind.ts'
import { describeFound, describeMissing, getServers } from './servers/launch.ts'
import type { Servers } from './servers/launch.ts'
import { describeNoted, runSuite } from './suite.ts'
import type { SuiteResult } from './suite.ts'
import { chooseTemporaryFolder } from './temporary.ts'
import { tidyUp } from './tidy.ts'

/**
 * Servers, by the names of their kinds, that continuous integration is known not to have: they are in none of the
 * package registries that it reaches. Tests of them run where somebody gives an address.
 */
const knownMissing: readonly string[] = ['MySQL', 'Valkey', 'MongoDB replica set']

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    long: { type: 'boolean', default: false },
    fast: { type: 'boolean', default: false },
    servers: { type: 'string', default: 'all' },
    'test-name-pattern': { type: 'string', multiple: true, default: [] },
    'test-skip-pattern': { type: 'string', multiple: true, default: [] },
  },
})

const patterns = [
  ...options['test-name-pattern'].map((pattern) => `--test-name-pattern=${pattern}`),
  ...options['test-skip-pattern'].map((pattern) => `--test-skip-pattern=${pattern}`),
]
const files = await findFiles(positionals)
const temporary = chooseTemporaryFolder()
const servers = await getServers(chosenServers(options.servers))
console.log()

const result = await runSuite({
  node: process.execPath,
  files,
  arguments: patterns,
  environment: {
    ...servers.environment,
    ...(options.long && { HOLDFAST_TEST_LONG: '1' }),
    ...(options.fast && { HOLDFAST_TEST_FAST: '1' }),
  },
  patience: options.long ? 900_000 : 300_000,
})
await tidyUp()

const faults = faultsOf(result, servers)
printSummary(result, servers, faults)
process.exitCode = faults.length > 0 ? 1 : 0

async function findFiles(filters: readonly string[]): Promise<readonly string[]> {
  const all: string[] = []
  for await (const file of glob('test/**/*.test.ts', { cwd: root })) all.push(join(root, file))
  const unmatched = filters.filter((filter) => !all.some((file) => matches(file, filter)))
  if (unmatched.length > 0) refuse(`No test file matches ${unmatched.join(', ')}.`)
  if (filters.length === 0) return all.sort()
  return all.filter((file) => filters.some((filter) => matches(file, filter))).sort()
}

function matches(file: string, filter: string): boolean {
  const path = resolve(filter)
  return file === path || file.startsWith(path + sep) || relative(root, file).includes(filter)
}

function chosenServers(choice: string): readonly ServerKind[] {
  if (choice === 'all') return serverKinds
  if (choice === 'none') return []
  return choice.split(',').map((name) => {
    const kind = serverKinds.find((candidate) => shortName(candidate) === name)
    return (
      kind ??
      refuse(`No server is called ${name}: ${['all', 'none', ...serverKinds.map(shortName)].join(', ')}`)
    )
  })
}

function refuse(message: string): never {
  console.error(message)
  process.exit(1)
}

function shortName(kind: ServerKind): string {
  return kind.name.toLowerCase().replaceAll(' ', '-')
}

/** What makes the run fail, one sentence each. */
function faultsOf(result: SuiteResult, servers: Servers): readonly string[] {
  const faults: string[] = []
  if (result.failed.length > 0) faults.push(`${result.failed.length} tests failed.`)
  for (const file of result.stalled) faults.push(`${relative(root, file)} did not end.`)
  if (!result.succeeded && faults.length === 0) faults.push('The test runner failed although no test did.')
  if (result.passed + result.failed.length === 0) faults.push('No test was run.')
  // With a pattern for titles it is expected that many files have nothing to run.
  if (patterns.length === 0) {
    for (const file of result.empty) faults.push(`There is no test in ${relative(root, file)}.`)
  }
  for (const { kind, reason } of servers.missing) {
    if (process.env[kind.variable]) faults.push(reason)
    else if (process.env['CI'] === 'true' && !knownMissing.includes(kind.name)) {
      faults.push(`${kind.name} is not to be had, and it is not on the list of those known to be missing.`)
    }
  }
  return faults
}

function printSummary(result: SuiteResult, servers: Servers, faults: readonly string[]): void {
  console.log(`\nNode.js ${result.node}, temporary files in ${temporary}`)
  for (const server of servers.found) console.log(describeFound(server))
  for (const server of servers.missing) console.log(describeMissing(server))
  for (const noted of result.skipped) console.log(`Skipped: ${describeNoted(noted)}`)
  for (const noted of result.repeated)
    console.log(`Failed while the machine stood still, and run again: ${describeNoted(noted)}`)
  for (const noted of result.failed) console.log(`Failed: ${describeNoted(noted)}`)
  for (const fault of faults) console.log(`FAULT: ${fault}`)
  console.log(`Time: ${(result.milliseconds / 1000).toFixed(1)} s\n`)
  console.log(`${result.passed} passed, ${result.failed.length} failed, ${result.skipped.length} skipped`)
}
