/** `holdfast store check`: runs the store suite, every sentence of a driver's contract, against a live store. */

import cliProgress from 'cli-progress'
import type { Command } from 'commander'
import { type Capabilities, HoldfastError, openStore } from 'holdfast'
import { type Ran, run, type Test, testsOf } from './check/runner.ts'
import { Subject } from './check/subject.ts'
import { addSettings } from './command.ts'
import { interruptible } from './interruption.ts'
import { storeUrl } from './store-url.ts'
import { json, table, type Terminal } from './terminal.ts'
import { examples } from './tokens.ts'

/** Something that the store promises does not hold. */
export class CheckFailed extends HoldfastError {
  readonly code = 'HOLDFAST_CHECK_FAILED'
}

/** How long one test may take, in milliseconds. */
const patience = 60_000

/** Parts of the suite that need a capability. Where it is missing they test that this is said. */
const needs: Readonly<Record<string, (capabilities: Capabilities) => boolean>> = {
  'stores on the same data': ({ shared }) => shared,
  'store that is opened again': ({ durable }) => durable.process,
  write: ({ atomicBatch }) => atomicBatch,
  list: ({ listing }) => listing !== 'none',
  count: ({ counting }) => counting,
  scan: ({ scanning }) => scanning,
  watch: ({ watch }) => watch,
}

/** What was found about one part of the suite. */
interface Part {
  readonly part: string
  readonly result: 'passed' | 'failed' | 'not offered'
  readonly passed: number
  readonly failed: number
  readonly ms: number
  readonly failures: readonly { readonly title: string; readonly message: string }[]
}

interface Checked {
  readonly store: string
  readonly capabilities: Capabilities
  readonly passed: number
  readonly failed: number
  readonly ms: number
  readonly parts: readonly Part[]
  /** Namespaces with records that could not be removed. They expire within a day. */
  readonly left: readonly string[]
}

/** Adds the command. */
export function addCheck(parent: Command, terminal: Terminal): void {
  const command = parent
    .command('check')
    .description(
      'run the tests of the store contract against a live store, in scratch namespaces that are cleared again',
    )
    .argument('<url>', 'the URL of the store; env:NAME takes it from a variable')
    .option('--json', 'print JSON')
    .action(async (url: string, flags: { readonly json?: boolean }) => {
      const checked = await check(storeUrl(url, terminal), flags.json ? undefined : progressBar(terminal))
      terminal.output.write(flags.json ? json(checked) : shownTable(checked))
      if (checked.left.length > 0) {
        terminal.errors.write(
          `holdfast: warning: left in the store, until it expires: namespaces ${checked.left.join(', ')}\n`,
        )
      }
      if (checked.failed > 0) {
        const all = checked.failed + checked.passed
        throw new CheckFailed(
          `${checked.failed} of ${all} tests failed: do not rely on ${checked.store} as it is`,
        )
      }
    })
  examples(addSettings(command, []), [
    ['holdfast store check redis://localhost', 'what this server does with its present settings'],
    ['holdfast store check sqlite:/mnt/share/try.db --json', 'for a script; exit code 1 if something fails'],
  ])
}

async function check(url: string, bar: cliProgress.SingleBar | undefined): Promise<Checked> {
  const { description, capabilities } = await probed(url)
  const { storeSuite } = await import('holdfast/testing')
  const subject = new Subject(url)
  const make = subject.make.bind(subject)
  const tests = testsOf((runner) =>
    storeSuite(runner, {
      name: description,
      make,
      ...(capabilities.shared ? { another: make } : {}),
      ...(capabilities.durable.process ? { reopen: make } : {}),
      dispose: (namespace) => subject.clear(namespace),
    }),
  )
  const began = performance.now()
  bar?.start(tests.length, 0, { part: '' })
  try {
    const ran = await allRun(tests, bar)
    bar?.update(tests.length, { part: 'clearing' })
    const left = await subject.clearAll()
    return {
      store: description,
      capabilities,
      ...summed(ran, capabilities),
      ms: whole(performance.now() - began),
      left,
    }
  } finally {
    bar?.stop()
    await subject.clearAll()
  }
}

/** What is there to be checked: opened once, so that an address that can't be right is one error and not a hundred. */
async function probed(url: string) {
  const store = await openStore(url, { namespace: 'check' })
  try {
    return await store.open()
  } finally {
    await store.close()
  }
}

async function allRun(
  tests: readonly Test[],
  bar: cliProgress.SingleBar | undefined,
): Promise<readonly Ran[]> {
  return await interruptible(
    'ended before all tests were run; what they wrote was removed',
    async (signal) => {
      const ran: Ran[] = []
      for (const test of tests) {
        bar?.update(ran.length, { part: test.part })
        ran.push(await run(test, patience))
        signal.throwIfAborted()
      }
      return ran
    },
  )
}

function summed(
  ran: readonly Ran[],
  capabilities: Capabilities,
): Pick<Checked, 'passed' | 'failed' | 'parts'> {
  const names = [...new Set([...ran.map(({ test }) => test.part), ...Object.keys(needs)])]
  const parts = names.map((part) =>
    partOf(
      part,
      ran.filter(({ test }) => test.part === part),
      needs[part]?.(capabilities) ?? true,
    ),
  )
  const failed = ran.filter(({ failure }) => failure !== undefined).length
  return { passed: ran.length - failed, failed, parts }
}

function partOf(part: string, ran: readonly Ran[], isOffered: boolean): Part {
  const failures = ran.flatMap(({ test, failure }) => {
    return failure === undefined ? [] : [{ title: test.title, message: failure }]
  })
  return {
    part,
    result: failures.length > 0 ? 'failed' : isOffered ? 'passed' : 'not offered',
    passed: ran.length - failures.length,
    failed: failures.length,
    ms: whole(ran.reduce((sum, { ms }) => sum + ms, 0)),
    failures,
  }
}

function shownTable({ store, parts, passed, failed, ms }: Checked): string {
  const rows = parts.map((each) => [
    each.part,
    each.result,
    String(each.passed),
    String(each.failed),
    `${each.ms} ms`,
  ])
  const failures = parts.flatMap(({ part, failures: all }) =>
    all.map(({ title, message }) => `\n${part}: ${title}\n${indented(message)}\n`),
  )
  return (
    `${store}\n\n${table(['PART', 'RESULT', 'PASSED', 'FAILED', 'TIME'], rows)}` +
    `${failures.join('')}\n${passed} passed, ${failed} failed, in ${(ms / 1_000).toFixed(1)} s\n`
  )
}

function indented(text: string): string {
  return text
    .split('\n')
    .map((line) => `  ${line}`.trimEnd())
    .join('\n')
}

function progressBar(terminal: Terminal): cliProgress.SingleBar | undefined {
  if (!terminal.errors.isTTY) return undefined
  return new cliProgress.SingleBar({
    format: '[{bar}] {value} of {total} tests, {part}',
    stream: terminal.errors,
    clearOnComplete: true,
    hideCursor: true,
  })
}

function whole(ms: number): number {
  return Math.round(ms)
}
