/** Servers of a test's own, for what must not be done to those that others use: killing, halting, filling. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { homedir, tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { freePort } from '../../../scripts/servers/ports.ts'
import { standStill } from '../standing-still.ts'
import { until } from '../../until.ts'
import { atEnd, type Ending } from '../redis/ending.ts'

/** Where the launcher of the test servers puts the FerretDB that it builds. */
const built = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'holdfast', 'ferretdb-v1.24.0')

const program = [...(process.env['PATH'] ?? '').split(delimiter), built]
  .map((folder) => join(folder, 'ferretdb'))
  .find(isProgram)

/** Why such tests are skipped; false when they aren't. */
export const skipPrivate: string | false =
  program === undefined && 'there is no ferretdb, and this test must not be done to a server that others use'

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** A FerretDB that a test may kill and start again, always over the same data. */
export class PrivateServer {
  readonly port: number
  readonly #folder: string
  readonly #settings: readonly string[]
  #process: ChildProcess | undefined

  constructor(port: number, folder: string, settings: readonly string[]) {
    this.port = port
    this.#folder = folder
    this.#settings = settings
  }

  /** @param pragma A setting of the SQLite underneath: `max_page_count(300)` is a full disk, `query_only(1)` no rights. */
  async start(pragma?: string): Promise<void> {
    await mkdir(join(this.#folder, 'data'), { recursive: true })
    const fixed = [
      `--sqlite-url=file:${this.#folder}/data/${pragma === undefined ? '' : `?_pragma=${pragma}`}`,
      `--state-dir=${this.#folder}`,
      '--handler=sqlite',
      '--debug-addr=-',
      '--telemetry=disable',
      '--log-level=ERROR',
    ]
    const address = this.#settings.some((each) => each.startsWith('--listen'))
      ? []
      : [`--listen-addr=127.0.0.1:${this.port}`]
    this.#process = spawn(program ?? 'ferretdb', [...fixed, ...address, ...this.#settings], {
      stdio: 'ignore',
    })
    await once(this.#process, 'spawn')
    await until('the server listens', () => canConnect(this.port))
  }

  /** @param query What follows the database in the URL. */
  url(query = ''): string {
    return `mongodb://127.0.0.1:${this.port}/holdfast${query}`
  }

  get isRunning(): boolean {
    return this.#process?.exitCode === null && this.#process.signalCode === null
  }

  /** With its connections open. */
  async standStill(): Promise<void> {
    await standStill(this.#process)
  }

  goOn(): void {
    this.#process?.kill('SIGCONT')
  }

  /** As a crash would. */
  async kill(): Promise<void> {
    if (!this.#process || !this.isRunning) return
    const ended = once(this.#process, 'exit')
    this.#process.kill('SIGKILL')
    await ended
  }

  async stop(): Promise<void> {
    await this.kill()
    await rm(this.#folder, { recursive: true, force: true })
  }
}

/** A server for one test, not started yet. */
export async function privateServer(
  test: Ending,
  settings: (port: number) => readonly string[] = () => [],
): Promise<PrivateServer> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-ferretdb-'))
  const port = await freePort()
  const server = new PrivateServer(port, folder, settings(port))
  atEnd(test, () => server.stop())
  return server
}

async function canConnect(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
