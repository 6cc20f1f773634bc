/** Starts the roles of `child.ts`. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const file = fileURLToPath(new URL('./child.ts', import.meta.url))
/** Flags without which the sources do not run here. */
const flags = [
  '--conditions=holdfast-source',
  ...process.execArgv.filter((flag) => flag.includes('strip-types')),
]

export interface Child {
  readonly process: ChildProcess
  /** What it has printed so far. */
  output(): string
  /** Resolves when it has printed a line that holds the text. */
  said(text: string): Promise<void>
  /** Resolves with its exit code when it has ended. */
  ended(): Promise<number | null>
}

/** Starts a role. @param prefix A program that is to start it, with its arguments. */
export function start(role: string, args: readonly string[], prefix: readonly string[] = []): Child {
  const [command = '', ...rest] = [...prefix, process.execPath, ...flags, file, role, ...args]
  const child = spawn(command, rest, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_NO_WARNINGS: '1' },
  })
  let output = ''
  let errors = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text))
  const closed = once(child, 'close').then(([code]) => code as number | null)
  closed.catch(() => undefined)
  return {
    process: child,
    output: () => output,
    said: async (text) => {
      while (!output.includes(text)) {
        const code = await Promise.race([closed, once(child.stdout, 'data').then(() => undefined)])
        if (code !== undefined && !output.includes(text))
          throw new Error(`${role} ended with ${code}: ${errors}`)
      }
    },
    ended: async () => {
      const code = await closed
      if (code !== 0 && child.signalCode === null) throw new Error(`${role} ended with ${code}: ${errors}`)
      return code
    },
  }
}
