/**
 * Where a server's programs run: on this machine, or in a container. A kind of server is written once and works
 * in both.
 */
import { execFile, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
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
  /**
   * Starts a program that keeps running until `stop`, which asks it by `stopWith`, SIGTERM if not given. Resolves when
   * it was started, not when it answers.
   */
  start(program: string, args: readonly string[], stopWith?: NodeJS.Signals): Promise<void>
  /** Runs a program to its end and gives what it wrote to standard output. */
  run(program: string, args: readonly string[]): Promise<string>
  /** Writes a file of this name into the folder. */
  write(name: string, lines: readonly string[]): Promise<void>
  /** Throws, with the end of its output, when a program that was started has ended by itself. */
  check(): Promise<void>
  /** Stops what was started here, and nothing else. */
  stop(): Promise<void>
}

/** Runs programs as children of this process, those of `programs` first, with their output in a temporary folder. */
export async function onThisMachine(name: string, programs = ''): Promise<Place> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-test-'))
  const log = join(folder, 'output.log')
  const path = [programs, process.env['PATH'] ?? ''].filter(Boolean).join(delimiter)
  // Temporary files of its own, too: a MariaDB that starts removes those of the others.
  const surroundings = { cwd: folder, env: { ...process.env, PATH: path, TMPDIR: folder } }
  const children: { readonly process: ChildProcess; readonly stopWith: NodeJS.Signals }[] = []
  let stopping = false

  const place: Place = {
    description: `${name} on this machine`,
    folder,
    listenOn: '127.0.0.1',
    async start(program, args, stopWith = 'SIGTERM') {
      if (stopping) throw new Error(`${name} is being stopped`)
      const output = await open(log, 'a')
      try {
        const child = spawn(program, args, { ...surroundings, stdio: ['ignore', output.fd, output.fd] })
        children.push({ process: child, stopWith })
        await once(child, 'spawn')
      } finally {
        await output.close()
      }
    },
    run: async (program, args) => (await execute(program, [...args], surroundings)).stdout,
    write: (file, lines) => writeFile(join(folder, file), `${lines.join('\n')}\n`),
    async check() {
      if (children.every((child) => isRunning(child.process))) return
      const lines = (await readFile(log, 'utf8')).trimEnd().split('\n')
      throw new Error(`${name} ended by itself. Its last words:\n${lines.slice(-10).join('\n')}`)
    },
    async stop() {
      stopping = true
      await Promise.all(children.map((child) => stopProcess(child.process, child.stopWith)))
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
    async write(file, lines) {
      const script = `printf '%s\\n' "$@" > /tmp/${file}`
      await execute('docker', ['exec', container, 'sh', '-c', script, 'sh', ...lines])
    },
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

async function stopProcess(child: ChildProcess, stopWith: NodeJS.Signals): Promise<void> {
  if (child.pid === undefined || !isRunning(child)) return
  const ended = once(child, 'exit')
  child.kill(stopWith)
  const patience = setTimeout(() => child.kill('SIGKILL'), stopWithin)
  await ended
  clearTimeout(patience)
}
