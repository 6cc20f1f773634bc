/** Servers of a test's own, for what must not be done to those that others use: killing, filling, other settings. */

import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { freePort } from '../../../scripts/servers/ports.ts'
import { until } from '../../until.ts'
import { atEnd, type Ending } from '../redis/ending.ts'

const execute = promisify(execFile)
/** MariaDB removes what others of its kind have among the temporary files when it starts. */
const surroundings = (folder: string) => ({ env: { ...process.env, TMPDIR: folder } })
const asRoot = process.getuid?.() === 0 ? ['--user=root'] : []

/** Why such tests are skipped; false when they aren't. */
export const skipPrivate: string | false =
  !(process.env['PATH'] ?? '').split(delimiter).some((folder) => isProgram(join(folder, 'mariadbd'))) &&
  'mariadbd is not on the PATH, and this test must not be done to a server that others use'

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** A MariaDB with its files in a folder of its own, which stay when it is killed. */
export class PrivateServer {
  readonly port: number
  readonly folder: string
  readonly #settings: readonly string[]
  #process: ChildProcess | undefined

  private constructor(port: number, folder: string, settings: readonly string[]) {
    this.port = port
    this.folder = folder
    this.#settings = settings
  }

  static async make(settings: readonly string[]): Promise<PrivateServer> {
    const folder = await mkdtemp(join(tmpdir(), 'holdfast-mariadb-'))
    const creation = ['--auth-root-authentication-method=normal', '--skip-test-db', '--skip-name-resolve']
    const small = ['--innodb-log-file-size=8M']
    const given = settings.filter((setting) => setting.startsWith('--innodb'))
    const made = ['--no-defaults', `--datadir=${folder}/data`, ...asRoot, ...creation, ...small, ...given]
    await execute('mariadb-install-db', made, surroundings(folder))
    const server = new PrivateServer(await freePort(), folder, [...small, ...settings])
    await server.start()
    await server.ask('create database if not exists holdfast')
    return server
  }

  get url(): string {
    return this.urlAt(this.port)
  }

  /** The server behind a proxy. */
  urlAt(port: number): string {
    return `mariadb://root@127.0.0.1:${port}/holdfast`
  }

  async start(...more: readonly string[]): Promise<void> {
    const child = spawn(
      'mariadbd',
      [
        '--no-defaults',
        `--datadir=${this.folder}/data`,
        ...asRoot,
        '--bind-address=127.0.0.1',
        `--port=${this.port}`,
        `--socket=${this.folder}/sock`,
        `--pid-file=${this.folder}/pid`,
        '--skip-name-resolve',
        '--skip-log-bin',
        '--innodb-buffer-pool-size=16M',
        ...this.#settings,
        ...more,
      ],
      { stdio: 'ignore', ...surroundings(this.folder) },
    )
    this.#process = child
    await once(child, 'spawn')
    await until('it answers', async () => (await this.ask('select 42')).includes('42'))
  }

  /** What the client `mariadb` prints. */
  async ask(text: string): Promise<string> {
    const { stdout } = await execute('mariadb', [
      '--no-defaults',
      `--socket=${this.folder}/sock`,
      '--user=root',
      '--batch',
      '-e',
      text,
    ])
    return stdout
  }

  /** As a crash would. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  /** As an operator would. */
  async shutDown(): Promise<void> {
    await this.#end('SIGTERM')
  }

  async #end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const child = this.#process
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill(signal)
    await ended
  }

  async stop(): Promise<void> {
    await this.kill()
    await rm(this.folder, { recursive: true, force: true })
  }
}

/** A server for one test, or for all of a file. */
export async function privateServer(test: Ending, ...settings: readonly string[]): Promise<PrivateServer> {
  const server = await PrivateServer.make(settings)
  atEnd(test, () => server.stop())
  return server
}
