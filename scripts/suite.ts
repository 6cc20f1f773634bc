/** Runs test files on one Node.js and counts what came out of it. */
import { execFile, spawn } from 'node:child_process'
import type { ChildProcess, StdioOptions } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, open, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Line, Noted } from './reporter.ts'
import { root } from './root.ts'
import { type Standstill, Standstills } from './standstills.ts'
import { atEnd } from './tidy.ts'

const execute = promisify(execFile)

export interface SuiteOptions {
  /** The Node.js to run on. */
  readonly node: string
  /** Test files, as absolute paths. */
  readonly files: readonly string[]
  /** Further arguments for `node --test`. */
  readonly arguments?: readonly string[]
  /** Added to this process's environment. */
  readonly environment?: Readonly<Record<string, string>>
  /** Show the report only when something failed. */
  readonly quiet?: boolean
  /** What is run again, by itself: what failed while the machine stood still (the default), or whatever failed. */
  readonly repeats?: 'disturbed' | 'failed'
  /** Milliseconds in which some test has to end. After that the run is stopped and counts as failed. */
  readonly patience: number
}

export interface SuiteResult {
  /** The version that ran, without a `v`. */
  readonly node: string
  readonly passed: number
  readonly failed: readonly Noted[]
  /** What failed at first, and counts as it ended when its file was run again by itself. */
  readonly repeated: readonly Noted[]
  readonly skipped: readonly Noted[]
  /** Files in which no test ran. */
  readonly empty: readonly string[]
  /** Files that had not ended when patience did. */
  readonly stalled: readonly string[]
  readonly milliseconds: number
  /** Whether `node --test` itself was content. It also minds what no test stands for. */
  readonly succeeded: boolean
}

/**
 * Runs the files, and some of those in which a test failed once more, one after the other: see
 * docs/decisions/0022-standstills.md.
 */
export async function runSuite(options: SuiteOptions): Promise<SuiteResult> {
  const started = performance.now()
  const runtime = await inspect(options.node)
  const standstills = new Standstills()
  const first = await runOnce(options, runtime)
  const disturbed = disturbedFiles(first.lines, standstills.end())
  const repeated = options.repeats === 'failed' ? failedFiles(first.lines) : disturbed

  let { lines, succeeded } = first
  if (repeated.size > 0) {
    const again = await runOnce({ ...options, files: [...repeated] }, runtime, 1)
    const rest = lines.filter(({ file }) => !repeated.has(file))
    lines = [...rest, ...again.lines]
    succeeded = again.succeeded && !rest.some(({ kind }) => kind === 'failed')
  }
  return {
    node: runtime.version,
    ...count(lines),
    repeated: failedOf(first.lines).filter(({ file }) => repeated.has(file)),
    stalled: [...running(lines)],
    milliseconds: performance.now() - started,
    succeeded,
  }
}

interface Run {
  readonly lines: readonly Line[]
  readonly succeeded: boolean
}

/** @param concurrency Files at a time: one more than the cores that every machine has, as many tests wait. */
async function runOnce(options: SuiteOptions, runtime: Runtime, concurrency = 3): Promise<Run> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-report-'))
  atEnd(() => rm(folder, { recursive: true, force: true }))
  const report = join(folder, 'report.jsonl')
  const output = join(folder, 'output.txt')
  const succeeded = await runNode(options, runtime, { report, output, concurrency })
  if (options.quiet && !succeeded) process.stdout.write(await readFile(output, 'utf8'))
  return { lines: await readLines(report), succeeded }
}

interface Runtime {
  readonly version: string
  /** What it has to be told to be as newer versions are without being told. */
  readonly flags: readonly string[]
}

async function inspect(node: string): Promise<Runtime> {
  const { stdout } = await execute(node, ['-p', 'process.versions.node + " " + process.features.typescript'])
  const [version = '', typescript] = stdout.trim().split(' ')
  const flags: string[] = []
  if (typescript !== 'strip' && typescript !== 'transform') flags.push('--experimental-strip-types')
  // Without it, each promise costs a hundred times as much under the scheduler of `holdfast/testing`.
  if (version.startsWith('22.')) flags.push('--experimental-async-context-frame')
  // What this version calls experimental it says on standard error, in the middle of what is tested there.
  if (flags.length > 0) flags.push('--disable-warning=ExperimentalWarning')
  return { version, flags }
}

async function runNode(
  options: SuiteOptions,
  runtime: Runtime,
  {
    report,
    output: outputFile,
    concurrency,
  }: { readonly report: string; readonly output: string; readonly concurrency: number },
): Promise<boolean> {
  const reporter = fileURLToPath(new URL('reporter.ts', import.meta.url))
  const args = [
    [
      '--test',
      `--test-concurrency=${concurrency}`,
      '--conditions=holdfast-source',
      '--disable-warning=ExperimentalWarning',
    ],
    ['--test-reporter=spec', '--test-reporter-destination=stdout'],
    [`--test-reporter=${reporter}`, `--test-reporter-destination=${report}`],
    options.arguments ?? [],
    options.files,
  ].flat()
  const output = options.quiet ? await open(outputFile, 'w') : undefined
  const stdio: StdioOptions = output ? ['ignore', output.fd, output.fd] : ['ignore', 'inherit', 'inherit']
  const child = spawn(options.node, args, { cwd: root, stdio, env: environmentOf(options, runtime) })
  atEnd(() => stop(child))

  const watch = watchProgress(child, report, options.patience)
  const [code] = (await once(child, 'close')) as [number | null]
  clearInterval(watch)
  await output?.close()
  return code === 0
}

function environmentOf(options: SuiteOptions, runtime: Runtime): NodeJS.ProcessEnv {
  // As options of the environment the flags also reach the processes that tests start. So does the cache: each process
  // would otherwise take the types out of the same hundreds of files.
  const nodeOptions = [process.env['NODE_OPTIONS'] ?? '', ...runtime.flags]
  return {
    ...process.env,
    ...options.environment,
    NODE_COMPILE_CACHE: join(root, 'node_modules', '.cache', 'holdfast-tests'),
    NODE_OPTIONS: nodeOptions.join(' ').trim(),
    PATH: [dirname(options.node), process.env['PATH'] ?? ''].join(delimiter),
  }
}

/** `node --test` waits for ever for a file that doesn't end, so somebody has to look at the clock. */
function watchProgress(child: ChildProcess, report: string, patience: number): NodeJS.Timeout {
  let size = 0
  let progressed = performance.now()
  const look = async () => {
    const seen = await stat(report).then(
      (file) => file.size,
      () => 0,
    )
    if (seen !== size) progressed = performance.now()
    size = seen
    if (performance.now() - progressed < patience) return
    clearInterval(timer)
    console.error(`\nNo test has ended for ${patience / 1000} s: stopping.`)
    await stop(child)
  }
  const timer = setInterval(() => void look(), 1_000)
  return timer
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  const patience = setTimeout(() => child.kill('SIGKILL'), 5_000)
  await ended
  clearTimeout(patience)
}

async function readLines(report: string): Promise<readonly Line[]> {
  const text = await readFile(report, 'utf8').catch(() => '')
  // Without its newline, the last line of a run that was stopped may be half a line.
  const complete = text.slice(0, text.lastIndexOf('\n') + 1)
  return complete
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Line)
}

/** Files in which a test failed, and during which the machine stood still. */
function disturbedFiles(lines: readonly Line[], standstills: readonly Standstill[]): ReadonlySet<string> {
  const begun = new Map<string, number>()
  const failed = failedFiles(lines)
  const disturbed = new Set<string>()
  for (const line of lines) {
    if (line.kind === 'begun') begun.set(line.file, line.at)
    if (line.kind !== 'ended' || !failed.has(line.file)) continue
    const from = begun.get(line.file) ?? line.at
    if (standstills.some((each) => each.from < line.at && each.to > from)) disturbed.add(line.file)
  }
  return disturbed
}

/** Files in which a test failed, or that failed themselves. */
function failedFiles(lines: readonly Line[]): ReadonlySet<string> {
  return new Set(failedOf(lines).map(({ file }) => file))
}

function running(lines: readonly Line[]): ReadonlySet<string> {
  const files = new Set<string>()
  for (const { kind, file } of lines) {
    if (kind === 'begun') files.add(file)
    if (kind === 'ended') files.delete(file)
  }
  return files
}

function count(lines: readonly Line[]) {
  const of = (kind: Line['kind']) => lines.filter((line) => line.kind === kind)
  return {
    passed: of('passed').length,
    failed: failedOf(lines),
    skipped: lines.filter((line) => line.kind === 'skipped'),
    empty: of('empty').map((line) => line.file),
  }
}

function failedOf(lines: readonly Line[]) {
  return lines.filter((line) => line.kind === 'failed')
}

/** A test that was not run, or that failed, in one line. */
export function describeNoted({ title, file, reason }: Noted): string {
  return `${title} (${relative(root, file)}): ${reason}`
}
