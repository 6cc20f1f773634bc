/**
 * `session-bytes`: what a live session costs in the memory store beside its own data (its id, value and labels). The
 * sessions are of users, with three keys; a process of its own counts after it has collected its garbage.
 */

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Series } from './measure.ts'
import type { SessionBytes } from './session-bytes-process.ts'
import { scaled } from './sizes.ts'

const program = fileURLToPath(new URL('./session-bytes-process.ts', import.meta.url))

export const sessionBytes: Series = async function* ({ scale }) {
  const steps = [10_000, 100_000, 500_000].map((count) => scaled(count, scale))
  const execArgv = [...process.execArgv, '--expose-gc', '--no-flush-bytecode', '--max-old-space-size=8192']
  const child = fork(program, [JSON.stringify(steps)], { execArgv })
  const ended = once(child, 'exit').then(() => undefined)
  const message = once(child, 'message') as Promise<[readonly SessionBytes[]]>
  const [found] = (await Promise.race([message, ended])) ?? []
  if (!found) throw new Error('the process that is measured has ended')
  for (const { sessions, measured, own } of found) {
    yield {
      of: String(sessions),
      ours: (measured - own) / sessions,
      theirs: null,
      ratio: null,
      unit: 'bytes a session',
      note: `beside the ${Math.round(own / sessions)} bytes of a session's own data, in the memory store`,
    }
  }
}
