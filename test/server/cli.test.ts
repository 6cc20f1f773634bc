import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import { after, before, describe, it } from 'node:test'
import { run as runHere } from '../../packages/server/src/cli/program.ts'
import { type Ended, folderFor, holdfast, serve, type Tree } from './running.ts'

describe('the command line', () => {
  let folder: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'holdfast-test-'))
  })
  after(() => rm(folder, { recursive: true, force: true }))

  /** Runs a command line in this process, which is quicker and the same but for the process itself. */
  async function run(line: string, input = ''): Promise<Ended> {
    let out = ''
    let err = ''
    const errors = new Writable({
      write: (text: Buffer, _encoding, done) => done(void (err += text.toString())),
    })
    const code = await runHere(line.split(' '), {
      input: Readable.from([Buffer.from(input)]),
      output: { write: (text) => (out += text) },
      errors,
      environment: { HOLDFAST_STATE_FOLDER: join(folder, '.holdfast'), ...storeIn(line) },
      folder,
    })
    return { code, out, err }
  }

  /** The store's path is relative to the working directory, which this process shares with other tests. */
  function storeIn(line: string): Record<string, string> {
    return line.includes('--store') ? {} : { HOLDFAST_STORE: `sqlite://${join(folder, 'holdfast.db')}` }
  }

  async function ok(line: string, input?: string): Promise<Ended> {
    const ended = await run(line, input)
    assert.equal(ended.code, 0, `${line}: ${ended.err}`)
    return ended
  }

  async function asJson(line: string, input?: string): Promise<Tree> {
    return JSON.parse((await ok(`${line} --json`, input)).out) as Tree
  }

  async function refused(code: number, line: string, message: RegExp, input?: string): Promise<Ended> {
    const ended = await run(line, input)
    assert.equal(ended.code, code, `${line}: ${ended.out}${ended.err}`)
    assert.match(ended.err, message)
    assert.equal(ended.err.trim().split('\n').length, 1, ended.err)
    return ended
  }

  it('is the same as a process of its own', async () => {
    const made = await holdfast(['tokens', 'issue', '--user', 'process'], { folder })
    assert.equal(made.code, 0)
    assert.match(made.out, /^hft_\S+\n$/)
    const verified = await holdfast(['tokens', 'verify', '-'], { folder, input: made.out })
    assert.deepEqual([verified.code, verified.err], [0, ''])
    const inactive = await holdfast(['tokens', 'verify', 'hft_rubbish'], { folder })
    assert.deepEqual([inactive.code, inactive.out], [3, ''])
    assert.equal((await holdfast(['tokens', 'list', '--nonsense'], { folder })).code, 2)
    assert.equal((await holdfast(['tokens', 'list', '--store', 'sqlite:missing.db'], { folder })).code, 69)
  })

  it('prints its version and its help', async () => {
    const { version } = JSON.parse(
      await readFile(new URL('../../packages/server/package.json', import.meta.url), 'utf8'),
    ) as { version: string }
    assert.equal((await ok('--version')).out, `${version}\n`)
    assert.match((await ok('--help')).out, /serve.*\n.*tokens.*\n.*sessions.*\n.*store/)
  })

  it('has examples in the help of every command', async () => {
    const commands = [
      'serve',
      'tokens issue',
      'tokens list',
      'tokens verify',
      'tokens revoke',
      'sessions list',
    ]
    for (const command of [...commands, 'sessions show', 'sessions revoke', 'store info', 'store sweep']) {
      const { out } = await ok(`${command} --help`)
      assert.match(out, /\nExamples:\n {2}\S*.*holdfast /, command)
      assert.match(out, /--store <url>/, command)
    }
  })

  it('issues a token: the credential on standard output, the details beside it', async () => {
    const { out, err } = await ok(
      'tokens issue --user ada --scope read --scope write --expires-in 1h --label tenant:acme',
    )
    assert.match(out, /^hft_\S+\n$/)
    assert.ok(!err.includes(out.trim()))
    assert.match(err, /user +ada\n/)
    assert.match(err, /scopes +read write\n/)
    assert.match(err, /labels +tenant:acme user:ada\n/)
    const quiet = await ok('tokens issue --user ada --quiet')
    assert.match(quiet.out, /^hft_\S+\n$/)
    assert.equal(quiet.err, '')
  })

  it('verifies a credential, also from standard input', async () => {
    const made = await asJson('tokens issue --user bob --name laptop --expires-in never')
    const { token, ...rest } = made as unknown as Record<string, string>
    assert.deepEqual(await asJson('tokens verify -', `${token!}\n`), { active: true, ...rest })
    assert.match((await ok(`tokens verify ${token!}`)).out, /active +true\n/)
    await refused(
      3,
      'tokens verify hft_rubbish',
      /^holdfast: this is not a live token.*\(HOLDFAST_NOT_FOUND\)/,
    )
    const inactive = await run('tokens verify - --json', 'hft_rubbish')
    assert.deepEqual([inactive.code, JSON.parse(inactive.out)], [3, { active: false }])
    await refused(2, 'tokens verify -', /nothing came through standard input/, '')
  })

  it('lists tokens as a table and as JSON, with pages', async () => {
    for (let i = 0; i < 3; i++) await ok('tokens issue --user lister --quiet')
    const { out } = await ok('tokens list --user lister')
    const lines = out.trimEnd().split('\n')
    assert.match(lines[0]!, /^ID +USER +NAME +SCOPES +EXPIRES$/)
    assert.equal(lines.length, 4)
    const first = await asJson('tokens list --user lister --limit 2')
    assert.equal(first['tokens']!.length, 2)
    const rest = await asJson(`tokens list --user lister --limit 2 --after ${first['next']!}`)
    assert.equal(rest['tokens']!.length, 1)
    assert.equal('next' in rest, false)
  })

  it('revokes by id, by credential and by user', async () => {
    const one = await asJson('tokens issue --user eve')
    assert.equal((await ok(`tokens revoke -- ${one['id']!}`)).out, '1 revoked\n')
    await refused(3, `tokens revoke -- ${one['id']!}`, /there is no such live token/)
    await refused(3, `tokens verify ${one['token']!}`, /not a live token/)
    const two = await asJson('tokens issue --user eve')
    assert.deepEqual(await asJson('tokens revoke -', two['token']), { revoked: 1 })
    await ok('tokens issue --user eve --quiet')
    await ok('tokens issue --user eve --quiet --label tenant:acme')
    assert.deepEqual(await asJson('tokens revoke --user eve --label tenant:acme'), { revoked: 1 })
    assert.deepEqual(await asJson('tokens revoke --user eve'), { revoked: 1 })
    assert.deepEqual(await asJson('tokens revoke --user eve'), { revoked: 0 })
    await refused(2, 'tokens revoke', /name one, or say whose/)
    await refused(2, 'tokens revoke abc --user eve', /name one, or say whose/)
  })

  it('lists, shows and ends sessions beside a running service', async (t) => {
    const server = await serve(t, { folder })
    const here = await server.expect(201, 'POST', '/v1/sessions', {
      user: 'ada',
      data: { a: 1 },
      labels: ['device:phone'],
    })
    const there = await server.expect(201, 'POST', '/v1/sessions', { user: 'ada' })
    const listed = await asJson('sessions list --user ada')
    assert.deepEqual(listed['sessions']!.map((each) => each['id']).sort(), [here['id'], there['id']].sort())
    assert.match(
      (await ok('sessions list --label device:phone')).out,
      /^ID +USER +LAST USED +EXPIRES +LABELS\n\S+ +ada /,
    )
    const shown = await holdfast(['sessions', 'show', '--json', '--', here['id']!], { folder })
    assert.deepEqual((JSON.parse(shown.out) as Tree)['data'], { a: 1 })
    assert.deepEqual(await asJson(`sessions revoke --user ada --except=${here['id']!}`), { revoked: 1 })
    await server.expect(404, 'POST', '/v1/sessions/load', { session: there['session'] })
    await server.expect(200, 'POST', '/v1/sessions/load', { session: here['session'] })
    assert.equal((await ok(`sessions revoke -- ${here['id']!}`)).out, '1 ended\n')
    await server.expect(404, 'POST', '/v1/sessions/load', { session: here['session'] })
    await refused(3, `sessions revoke -- ${here['id']!}`, /there is no such live session/)
    await refused(3, `sessions show -- ${here['id']!}`, /there is no such live session/)
  })

  it('tells what the store is and sweeps it', async () => {
    const info = await asJson('store info')
    assert.match(info['store']!, /SQLite/i)
    assert.equal(info['capabilities']!['shared'], true)
    assert.ok(Number(info['records']!['tokens']) > 0)
    assert.match((await ok('store info')).out, /durable\.machine +true\n/)
    assert.match((await ok('store sweep')).out, /^\d+ removed\n$/)
    assert.equal(typeof (await asJson('store sweep'))['removed'], 'number')
  })

  it('refuses a store that there isn’t, and names those that there are [D51]', async () => {
    await refused(2, 'store sweep --store foo:bar', /there is no store for foo:; known are memory:, sqlite:/)
  })

  const memcached = process.env['HOLDFAST_TEST_MEMCACHED']
  const skip = memcached === undefined && 'HOLDFAST_TEST_MEMCACHED is not set: run this by `npm test`'
  it('says where there is nothing to sweep [D51 K50]', { skip }, async () => {
    const { out, err } = await ok(`store sweep --store ${memcached!}?role=cache`)
    assert.equal(out, '0 removed\n')
    assert.match(err, /nothing to sweep: .*Memcached.* drops what has expired by itself\n/)
  })

  it('refuses what makes no sense, with 2', async () => {
    const wrong: readonly (readonly [string, RegExp])[] = [
      [
        'tokens issue --user ada --expires-in soon',
        /expiresIn must be.*"soon".*\(HOLDFAST_INVALID_DURATION\)/,
      ],
      ['tokens issue --user ada --expires-at then', /--expires-at is like 2026-12-31T00:00:00Z, not then/],
      ['tokens issue --user ada --expires-in 1h --expires-at 2031-01-01T00:00:00Z', /not with both/],
      ['tokens issue --user ada --label nonsense', /\(HOLDFAST_INVALID_LABEL\)/],
      ['tokens list --limit many', /a count is a whole number/],
      ['tokens list --store memory:', /memory: is inside one process.*\(HOLDFAST_USAGE\)/],
      ['store sweep --store memory:', /memory: is inside one process/],
      ['tokens list --store ftp://x', /known are memory:, sqlite:.*\(HOLDFAST_UNKNOWN_SCHEME\)/],
      [
        'tokens list --deadline 5',
        /^holdfast: --deadline must be a duration.*\(HOLDFAST_CONFIGURATION_INVALID\)/,
      ],
      ['serve --port many', /^holdfast: --port must be a whole number/],
    ]
    for (const [line, message] of wrong) await refused(2, line, message)
  })

  it('refuses unknown commands and flags with 2, and says where help is', async () => {
    for (const line of [
      'nonsense',
      'tokens nonsense',
      'tokens list --nonsense',
      'tokens issue',
      'tokens',
      'sessions show',
    ]) {
      const { code, err } = await run(line)
      assert.equal(code, 2, line)
      assert.match(err, /--help|Usage:/, line)
    }
  })

  it('ends with 69 when the store cannot answer', async () => {
    await refused(
      69,
      'tokens list --store sqlite:missing.db',
      /there is no store at .*missing\.db.*\(HOLDFAST_STORE_UNAVAILABLE\)/,
    )
    await refused(
      69,
      'tokens list --store redis://127.0.0.1:1',
      /^holdfast: .*\(HOLDFAST_STORE_UNAVAILABLE\)/,
    )
    await writeFile(
      join(folder, 'damaged.db'),
      'this is no database, but long enough to look like one'.repeat(40),
    )
    await refused(
      69,
      `tokens list --store sqlite://${join(folder, 'damaged.db')}`,
      /\(HOLDFAST_STORE_(CORRUPT|MISCONFIGURED)\)/,
    )
  })

  it('ends with 78 when values are sealed and the key ring is missing', async (t) => {
    const other = await folderFor(t)
    const ended = await holdfast(['tokens', 'issue', '--user', 'ada', '--seal'], { folder: other })
    assert.equal(ended.code, 78)
    assert.match(ended.err, /no key ring at .*--state-folder.*\(HOLDFAST_INSTALLATION_REFUSED\)/)
  })

  it('works on sealed values with the ring of the service', async (t) => {
    const sealed = await folderFor(t)
    const environment = { HOLDFAST_SEAL: 'true' }
    const server = await serve(t, { folder: sealed, environment })
    const { token } = await server.expect(201, 'POST', '/v1/tokens', { user: 'ada' })
    const line = ['tokens', 'verify', token!]
    assert.equal((await holdfast(line, { folder: sealed, environment })).code, 0)
    const unsealed = await holdfast(line, { folder: sealed })
    assert.equal(unsealed.code, 78)
    assert.match(unsealed.err, /--seal \(HOLDFAST_KEY_UNKNOWN\)/)
  })

  it('shows where a failure came from only when asked', async () => {
    const quiet = await run('tokens list --store sqlite:missing.db')
    assert.ok(!quiet.err.includes('    at '))
    const verbose = await run('tokens list --store sqlite:missing.db --verbose')
    assert.match(verbose.err, /\n {4}at /)
  })

  it('keeps other people’s text from moving the cursor', async () => {
    await holdfast(['tokens', 'issue', '--user', 'red\u001b[31m', '--quiet'], { folder })
    const { out } = await ok('tokens list')
    assert.ok(!out.includes('\u001b') && out.includes('red\ufffd[31m'))
  })
})
