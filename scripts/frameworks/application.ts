/** An example that has to be built: a copy of it with the packed library, as its reader would have it. */

import { type ChildProcess, type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, readFile, writeFile } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import type { Readable } from 'node:stream'
import { setTimeout as wait } from 'node:timers/promises'
import { root } from '../root.ts'
import { freePort } from '../servers/ports.ts'
import { atEnd } from '../tidy.ts'
import type { Framework } from './frameworks.ts'

/** How long an application may take to listen, and to stop, in milliseconds. */
const patience = 120_000

/** How long installing or building it may take, in milliseconds. */
const longPatience = 600_000

/** What npm says where there is no registry, or not all of its packages. */
const noRegistry =
  /\b(ENOTFOUND|EAI_AGAIN|ECONN\w+|ENETUNREACH|ETIMEDOUT|ETARGET|E40\d|E50\d|ERR_SOCKET\w*)\b/

/** The packages of a framework can't be had. */
export class NotInstallable extends Error {}

interface Manifest {
  readonly version: string
  readonly dependencies?: Readonly<Record<string, string>>
}

export class Application {
  readonly #framework: Framework
  readonly #folder: string
  readonly #environment: NodeJS.ProcessEnv

  /** @param folder Where its copy goes; it must not be there. */
  constructor(framework: Framework, folder: string) {
    this.#framework = framework
    this.#folder = folder
    this.#environment = {
      ...process.env,
      // Whatever is run in there runs on this Node.js.
      PATH: `${dirname(process.execPath)}${delimiter}${process.env['PATH'] ?? ''}`,
      ...framework.environment,
    }
  }

  /**
   * Copies the example, and installs its packages as its lock says and then the packed library, which the lock can't
   * know: each build has another digest.
   *
   * @returns the version of the framework.
   * @throws {NotInstallable} with npm's reason.
   */
  async install(tarball: string): Promise<string> {
    await cp(join(root, 'examples', this.#framework.folder), this.#folder, {
      recursive: true,
      filter: (source) => !/[\\/](node_modules|build|\.next|\.svelte-kit|\.output)$/.test(source),
    })
    const manifest = await this.#manifest('.')
    const { holdfast: _, ...others } = manifest.dependencies ?? {}
    const without = { ...manifest, dependencies: others }
    await writeFile(join(this.#folder, 'package.json'), JSON.stringify(without))
    try {
      await this.#npm('ci')
      await this.#npm('install', tarball)
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      const lines = reason.split('\n').filter((each) => noRegistry.test(each))
      if (lines.length === 0) throw error
      // The longest one tells most.
      const [line = ''] = lines.sort((a, b) => b.length - a.length)
      throw new NotInstallable(line.replace('npm error', '').trim(), { cause: error })
    }
    return (await this.#manifest(join('node_modules', this.#framework.package))).version
  }

  /** Runs a script of its `package.json`. */
  async run(script: string): Promise<void> {
    await this.#execute('npm', ['run', script])
  }

  /** Serves what was built, until it is stopped. */
  async start(store: string): Promise<Serving> {
    const port = await freePort()
    const environment = { ...this.#environment, HOST: '127.0.0.1', PORT: `${port}`, STORE: store }
    const child = spawn(process.execPath, [...this.#framework.program(port)], {
      cwd: this.#folder,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...environment, NODE_ENV: 'production' },
    })
    const said = listenTo(child)
    const ended = once(child, 'exit')
    atEnd(() => void child.kill('SIGKILL'))
    const url = `http://127.0.0.1:${port}`
    if (!(await answers(url, child))) throw new Error(`it did not listen: ${said()}`)
    return {
      url,
      said,
      async stop() {
        child.kill('SIGTERM')
        const impatience = setTimeout(() => child.kill('SIGKILL'), patience)
        await ended
        clearTimeout(impatience)
        return child.signalCode === 'SIGKILL' ? 'it had to be killed' : undefined
      },
    }
  }

  async #npm(command: string, ...packages: readonly string[]): Promise<void> {
    // Who works without a network is told so soon.
    const retries = process.env['CI'] === 'true' ? 5 : 1
    const quietly = ['--no-audit', '--no-fund', '--prefer-offline', `--fetch-retries=${retries}`]
    await this.#execute('npm', [command, ...quietly, ...packages])
  }

  async #execute(program: string, args: readonly string[]): Promise<void> {
    const isWindows = process.platform === 'win32'
    const child = spawn(program, args, {
      cwd: this.#folder,
      env: this.#environment,
      stdio: ['ignore', 'pipe', 'pipe'],
      // A group of its own, which is ended as a whole: npm starts shells, and they start builds.
      detached: !isWindows,
      shell: isWindows,
    })
    const said = listenTo(child)
    const closed = once(child, 'close')
    const end = (): void => {
      if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
      if (isWindows) child.kill()
      else process.kill(-child.pid, 'SIGKILL')
    }
    atEnd(async () => {
      end()
      await closed
    })
    const impatience = setTimeout(end, longPatience)
    const [code] = (await closed) as [number | null]
    clearTimeout(impatience)
    if (code !== 0) throw new Error(`${program} ${args.join(' ')} failed:\n${said()}`)
  }

  async #manifest(folder: string): Promise<Manifest> {
    return JSON.parse(await readFile(join(this.#folder, folder, 'package.json'), 'utf8')) as Manifest
  }
}

/** An application that runs. */
export interface Serving {
  readonly url: string
  /** What it has printed. */
  readonly said: () => string
  /** Asks it to stop. @returns what went wrong. */
  stop(): Promise<string | undefined>
}

/** @returns what a program has printed so far. */
function listenTo(child: ChildProcessByStdio<null, Readable, Readable>): () => string {
  let said = ''
  for (const output of [child.stdout, child.stderr]) {
    output.setEncoding('utf8').on('data', (text: string) => (said += text))
  }
  return () => said
}

/** Whether something answers there before the program has ended, and in time. */
async function answers(url: string, child: ChildProcess): Promise<boolean> {
  const latest = performance.now() + patience
  while (child.exitCode === null && performance.now() < latest) {
    const answer = await fetch(url).catch(() => undefined)
    if (answer) return true
    await wait(50)
  }
  return false
}
