/** Servers of a test's own, for what must not be done to the one that others use: killing, filling, restricting. */

import { execFile } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { appendFile, chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { freePort } from '../../../scripts/servers/ports.ts'
import { atEnd, type Ending } from '../redis/ending.ts'

const execute = promisify(execFile)

/** Where Debian keeps the programs; the newest of them. */
const programs = folderOf('/usr/lib/postgresql')

/** Why such tests are skipped; false when they aren't. */
export const skipPrivate: string | false =
  programs === undefined &&
  'the programs of PostgreSQL are not in /usr/lib/postgresql, and this test must not be done to a server that others use'

function folderOf(parent: string): string | undefined {
  try {
    const [newest] = readdirSync(parent).sort((a, b) => Number(b) - Number(a))
    return newest === undefined ? undefined : join(parent, newest, 'bin')
  } catch {
    return undefined
  }
}

/** A running server. */
export class PrivateServer {
  readonly port: number
  readonly data: string
  readonly #folder: string

  private constructor(port: number, folder: string) {
    this.port = port
    this.#folder = folder
    this.data = join(folder, 'data')
  }

  /** A new one, or a standby of another. */
  static async start(settings: readonly string[], primary?: PrivateServer): Promise<PrivateServer> {
    const folder = await mkdtemp(join(tmpdir(), 'holdfast-postgres-'))
    await chmod(folder, 0o755)
    const server = new PrivateServer(await freePort(), folder)
    await mkdir(server.data, { mode: 0o700 })
    if (process.getuid?.() === 0) await execute('chown', ['postgres:postgres', server.data])
    if (primary) {
      const from = ['-h', '127.0.0.1', '-p', String(primary.port), '-U', 'postgres']
      await server.#run('pg_basebackup', [...from, '-D', server.data, '-R', '--checkpoint=fast', '--no-sync'])
    } else {
      const creation = ['-U', 'postgres', '-A', 'trust', '--no-sync', '-E', 'UTF8', '--locale=C.UTF-8']
      await server.#run('initdb', ['-D', server.data, ...creation])
    }
    const lines = [
      "listen_addresses = '127.0.0.1'",
      `port = ${server.port}`,
      `unix_socket_directories = '${server.data}'`,
      ...settings,
    ]
    await appendFile(join(server.data, 'postgresql.conf'), `\n${lines.join('\n')}\n`)
    await server.startAgain()
    return server
  }

  get url(): string {
    return `postgres://postgres@127.0.0.1:${this.port}/postgres`
  }

  async startAgain(): Promise<void> {
    await this.#control('start')
  }

  /** As a power cut of the machine would, but that what was written to the system's cache stays. */
  async kill(): Promise<void> {
    await this.#control('stop', '-m', 'immediate')
  }

  /** From now on connections over TCP need a password. */
  async askForPasswords(): Promise<void> {
    await this.configure([], ['local all all trust', 'host all all all scram-sha-256'])
  }

  /** Adds settings, and says anew who may connect. */
  async configure(settings: readonly string[], access: readonly string[]): Promise<void> {
    await appendFile(join(this.data, 'postgresql.conf'), `\n${settings.join('\n')}\n`)
    await writeFile(join(this.data, 'pg_hba.conf'), `${access.join('\n')}\n`)
    await this.#control('restart')
  }

  async promote(): Promise<void> {
    await this.#control('promote')
  }

  async end(): Promise<void> {
    await this.kill().catch(() => undefined)
    await rm(this.#folder, { recursive: true, force: true })
  }

  async #control(command: string, ...args: readonly string[]): Promise<void> {
    await this.#run('pg_ctl', [command, '-D', this.data, '-w', '-s', '-l', join(this.data, 'log'), ...args])
  }

  /** It refuses to run as root. */
  async #run(program: string, args: readonly string[]): Promise<void> {
    const path = join(programs ?? '', program)
    if (process.getuid?.() !== 0) await execute(path, args)
    else {
      const user = ['--reuid', 'postgres', '--regid', 'postgres', '--clear-groups']
      await execute('setpriv', [...user, path, ...args])
    }
  }
}

/** A server for one test. */
export async function privateServer(
  test: Ending,
  settings: readonly string[] = [],
  primary?: PrivateServer,
): Promise<PrivateServer> {
  const server = await PrivateServer.start(settings, primary)
  atEnd(test, () => server.end())
  return server
}
