/** Servers that stand still: their connections stay open, and nobody answers. */

import { type ChildProcess, execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { until } from '../until.ts'

/**
 * Resolves when the process stands still with all of its threads. The signal takes a moment to reach them, and until
 * then one of them may still answer.
 */
export async function standStill(child: ChildProcess | undefined): Promise<void> {
  const pid = child?.pid
  if (pid === undefined || !child?.kill('SIGSTOP')) throw new Error('there is no process to be stopped')
  await until(`process ${pid} stands still`, () => standsStill(pid))
}

async function standsStill(pid: number): Promise<boolean> {
  if (process.platform !== 'linux') {
    const { stdout } = await promisify(execFile)('ps', ['-o', 'stat=', '-p', String(pid)])
    return stdout.trim().startsWith('T')
  }
  const threads = await readdir(`/proc/${pid}/task`)
  const states = await Promise.all(threads.map((thread) => stateOf(`/proc/${pid}/task/${thread}/stat`)))
  return states.every((state) => state === 'T' || state === 'ended')
}

/** The letter behind the name, which may itself have blanks and brackets in it. */
async function stateOf(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch(() => '')
  return text === '' ? 'ended' : (text.at(text.lastIndexOf(')') + 2) ?? '')
}
