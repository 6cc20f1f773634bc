/**
 * Where a server's programs run: on this machine, or in a container. A kind of server is written once and works
 * in both.
 */
import { execFile, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, open, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { atEnd } from '../tidy.ts'

const execute = promisify(execFile)

/** How long a program gets to stop when asked, before it is killed. */
const stopWithin = 5_000

export interface Place {
  /** For the reader of the output: `redis-server on this machine`. */
  readonly description: string
  /** An empty folder for the server's files, as its programs see it. */
  readonly folder: string
  /** The address to listen on so that tests can connect to 127.0.0.1. */
  readonly listenOn: string
  /** Starts a program that keeps running until `stop`. Resolves when it was started, not when it answers. */
  start(program: string, args: readonly string[]): Promise<void>
  /** Runs a program to its end and gives what it wrote to standard output. */
  run(program: string, args: readonly string[]): Promise<string>
  /** Throws, with the end of its output, when a program that was started has ended by itself. */
  check(): Promise<void>
  /** Stops what was started here, and nothing else. */
  stop(): Promise<void>
}

/** Runs programs as children of this process, with their output in a temporary folder. */
export async function onThisMachine(name: string): Promise<Place> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-test-'))
  const log = join(folder, 'output.log')
  const children: ChildProcess[] = []
  let stopping = false

  const place: Place = {
    description: `${name} on this machine`,
    folder,
    listenOn: '127.0.0.1',
    async start(program, args) {
      if (stopping) throw new Error(`${name} is being stopped`)
      const output = await open(log, 'a')
      try {
        const child = spawn(program, args, { cwd: folder, stdio: ['ignore', output.fd, output.fd] })
        children.push(child)
        await once(child, 'spawn')
      } finally {
        await output.close()
      }
    },
    run: async (program, args) => (await execute(program, [...args], { cwd: folder })).stdout,
    async check() {
      if (children.every(isRunning)) return
      const lines = (await readFile(log, 'utf8')).trimEnd().split('\n')
      throw new Error(`${name} ended by itself. Its last words:\n${lines.slice(-10).join('\n')}`)
    },
    async stop() {
      stopping = true
      await Promise.all(children.map(stopProcess))
      await rm(folder, { recursive: true, force: true })
    },
  }
  atEnd(() => place.stop())
  return place
}

/** Runs programs in one container of `image`, so that all of them share its network. */
export async function inDocker(image: string, ports: readonly number[]): Promise<Place> {
  const published = ports.flatMap((port) => ['--publish', `127.0.0.1:${port}:${port}`])
  const keepAlive = ['--entrypoint', 'sleep', image, 'infinity']
  const { stdout } = await execute('docker', [
    'run',
    '--detach',
    '--rm',
    '--init',
    ...published,
    ...keepAlive,
  ])
  const container = stdout.trim()

  const place: Place = {
    description: `${image} in Docker`,
    folder: '/tmp',
    listenOn: '0.0.0.0',
    async start(program, args) {
      await execute('docker', ['exec', '--detach', container, program, ...args])
    },
    run: async (program, args) => (await execute('docker', ['exec', container, program, ...args])).stdout,
    async check() {
      await execute('docker', ['inspect', container])
    },
    async stop() {
      await execute('docker', ['rm', '--force', container])
    },
  }
  atEnd(() => place.stop())
  return place
}

function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null
}

async function stopProcess(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || !isRunning(child)) return
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  const patience = setTimeout(() => child.kill('SIGKILL'), stopWithin)
  await ended
  clearTimeout(patience)
}
