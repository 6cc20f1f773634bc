import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { freePort } from '../../scripts/servers/ports.ts'
import { folderFor } from './running.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const readme = await readFile(join(root, 'README.md'), 'utf8')

/** The fenced blocks of a language, in order. */
function blocks(language: string, page = readme): string[] {
  return [...page.matchAll(/```(\w+)\n([\s\S]*?)```/g)].flatMap(([, kind, text]) =>
    kind === language ? [text!] : [],
  )
}

/** Runs `npm start` as the README says; the answer kills it, whatever it started. */
async function npmStart(t: TestContext, folder: string, port: number): Promise<() => Promise<void>> {
  const child = spawn('npm', ['start'], {
    cwd: root,
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
    env: {
      ...process.env,
      // npm runs it on the Node.js of the repository, which need not know what this one has to be told.
      NODE_OPTIONS: '',
      HOLDFAST_PORT: String(port),
      HOLDFAST_STORE: `sqlite://${join(folder, 'holdfast.db')}`,
      HOLDFAST_STATE_FOLDER: join(folder, '.holdfast'),
    },
  })
  let ended = false
  child.on('close', () => (ended = true))
  const kill = async () => {
    if (ended) return
    process.kill(-child.pid!, 'SIGKILL')
    await once(child, 'close')
  }
  t.after(kill)
  let out = ''
  for await (const text of child.stdout.setEncoding('utf8')) {
    out += String(text)
    if (out.includes(` on http://127.0.0.1:${port},`)) return kill
  }
  assert.fail(`npm start ended: ${out}`)
}

async function shell(script: string, folder: string): Promise<string> {
  const { stdout } = await promisify(execFile)('sh', ['-eu', '-c', script], { cwd: folder })
  return stdout
}

/** Runs the lines of a page, and compares what they print with what the page says that they print. */
async function runs(t: TestContext, block: string): Promise<void> {
  const stdout = await printed(t, block)
  const promised = [...block.matchAll(/console\.log\(.*\) \/\/ (.*)/g)].map(([, said]) => said)
  assert.deepEqual(stdout.trim().split('\n'), promised)
  assert.ok(promised.length > 0)
}

/** What a program prints. */
async function printed(t: TestContext, program: string): Promise<string> {
  const folder = await folderFor(t)
  await writeFile(join(folder, 'app.mjs'), program)
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'))
  const line = ['--conditions=holdfast-source', '--no-warnings', 'app.mjs']
  const { stdout } = await promisify(execFile)(process.execPath, line, { cwd: folder })
  return stdout
}

/** Calls the application of the lines before it, and ends. */
const calling = `
const server = app.listen(0, async () => {
  const answer = await fetch('http://127.0.0.1:' + server.address().port)
  console.log(await answer.text())
  process.exit()
})`

describe('the README', () => {
  it('has shell lines that work as printed, over a kill -9 and a restart', async (t) => {
    const folder = await folderFor(t)
    const port = await freePort()
    const [first, second, ...more] = blocks('sh').map((block) =>
      block.replace('127.0.0.1:7070', `127.0.0.1:${port}`),
    )
    assert.ok(first && second && more.length === 0)
    const kill = await npmStart(t, folder, port)
    const before = await shell(`${first}\necho; echo "TOKEN=$TOKEN"`, folder)
    assert.match(
      before,
      /^\{"active":true,"scope":"read","username":"ada",[^}]*\}\{\}\{"active":false\}\nTOKEN=hft_/,
    )
    await kill()
    await npmStart(t, folder, port)
    const [, variables] = /^([\s\S]*?)# Issue/.exec(first) ?? []
    const [, token] = /TOKEN=(\S+)/.exec(before) ?? []
    assert.equal(await shell(`${variables!}\nTOKEN=${token!}\n${second}`, folder), '{"active":false}')
  })

  it('has library lines that work as printed, as the page about tiers has', async (t) => {
    const [library, web, ...more] = blocks('js', readme)
    assert.ok(library && web && more.length === 0)
    await runs(t, library)
    assert.equal(await printed(t, web + calling), '{"user":null}\n')
    const [tiers, ...others] = blocks('js', await readFile(join(root, 'docs/scaling.md'), 'utf8'))
    assert.ok(tiers && others.length === 0)
    await runs(t, tiers)
  })

  it('names the two commands that package.json has', async () => {
    const { scripts } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { scripts: object }
    assert.ok('start' in scripts && 'test' in scripts)
    assert.ok(readme.includes('`npm ci && npm start`') && readme.includes('`npm ci && npm test`'))
  })
})
