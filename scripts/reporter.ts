/**
 * A reporter for `node --test` that writes what `suite.ts` needs to know, one JSON value a line. People read the
 * `spec` reporter beside it.
 */
import { resolve } from 'node:path'
import type { TestEvent } from 'node:test/reporters'

/** A test that was not run, or that failed. */
export interface Noted {
  readonly file: string
  readonly title: string
  readonly reason: string
}

export type Line =
  | { readonly kind: 'passed' | 'empty'; readonly file: string }
  /** With the time, in milliseconds of `Date.now()`. */
  | { readonly kind: 'begun' | 'ended'; readonly file: string; readonly at: number }
  | ({ readonly kind: 'failed' } & Noted)
  | ({ readonly kind: 'skipped' } & Noted)

type Result = Extract<TestEvent, { type: 'test:pass' | 'test:fail' }>

export default async function* report(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const event of events) {
    const line = lineOf(event)
    if (line) yield `${JSON.stringify(line)}\n`
  }
}

function lineOf(event: TestEvent): Line | undefined {
  switch (event.type) {
    case 'test:pass':
    case 'test:fail':
      return lineOfResult(event)
    case 'test:dequeue':
      return isFile(event.data) ? { kind: 'begun', file: event.data.file ?? '', at: Date.now() } : undefined
    case 'test:complete':
      return isFile(event.data) ? { kind: 'ended', file: event.data.file ?? '', at: Date.now() } : undefined
    default:
      return undefined
  }
}

function lineOfResult({ type, data }: Result): Line | undefined {
  const file = data.file ?? ''
  const reason = reasonOf(data)
  if (reason !== undefined) return { kind: 'skipped', file, title: data.name, reason }
  // A file stands for itself in two cases only: it could not be run, or there was no test in it.
  if (type === 'test:pass' && isFile(data)) return { kind: 'empty', file }
  const isSuite = data.details.type === 'suite'
  if (type === 'test:pass') return isSuite ? undefined : { kind: 'passed', file }
  const { error } = data.details
  // Tests are counted, suites are not, except for one that failed by itself: in a hook, for example.
  if (isSuite && failedByItsTests(error)) return undefined
  return { kind: 'failed', file, title: data.name, reason: causeOf(error) }
}

/** The first line of what a test threw. */
function causeOf(error: Error): string {
  const { message } = error.cause instanceof Error ? error.cause : error
  return message.split('\n', 1)[0] ?? ''
}

function reasonOf({ skip, todo }: Result['data']): string | undefined {
  if (skip !== undefined && skip !== false) return skip === true ? 'no reason given' : skip
  if (todo !== undefined && todo !== false) return todo === true ? 'to do' : `to do: ${todo}`
  return undefined
}

function failedByItsTests(error: unknown): boolean {
  return error instanceof Error && 'failureType' in error && error.failureType === 'subtestsFailed'
}

function isFile({
  name,
  file,
  nesting,
}: {
  name: string
  file?: string | undefined
  nesting: number
}): boolean {
  return nesting === 0 && file !== undefined && resolve(name) === file
}
