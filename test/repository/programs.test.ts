import assert from 'node:assert/strict'
import { mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { after, describe, it, type TestContext } from 'node:test'
import { getServers } from '../../scripts/servers/launch.ts'
import { programKind } from '../../scripts/servers/program.ts'
import { tidyUp } from '../../scripts/tidy.ts'

const program = 'holdfast-test-program'
const kind = programKind('Given', [{ program: 'no-such-program' }, { program }])

after(tidyUp)

describe('a program that tests start themselves', () => {
  it('is taken as it is given, where it is one', async (t) => {
    const { environment } = await found(t, { HOLDFAST_TEST_GIVEN: process.execPath })
    assert.deepEqual(environment, { HOLDFAST_TEST_GIVEN: process.execPath })
    const { missing } = await found(t, { HOLDFAST_TEST_GIVEN: '/no/such/program' })
    assert.equal(missing[0]?.reason, 'HOLDFAST_TEST_GIVEN says /no/such/program, but there is no program')
  })

  it('is found on the PATH, else it is missing with the reason', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'holdfast-program-'))
    t.after(() => rm(folder, { recursive: true, force: true }))
    const PATH = `${folder}${delimiter}${process.env['PATH'] ?? ''}`
    const { missing } = await found(t, { PATH })
    assert.match(
      missing[0]?.reason ?? '',
      /no-such-program is not on the PATH.*; holdfast-test-program is not/,
    )
    await symlink(process.execPath, join(folder, program))
    const { environment, found: all } = await found(t, { PATH })
    assert.deepEqual(environment, { HOLDFAST_TEST_GIVEN: join(folder, program) })
    assert.ok(all[0]?.source.startsWith(process.versions.node), 'its version is told')
  })
})

/** Looks for it in an environment. */
async function found(
  t: TestContext,
  environment: Readonly<Record<string, string>>,
): ReturnType<typeof getServers> {
  t.mock.method(console, 'log', () => undefined)
  const before = { ...process.env }
  Object.assign(process.env, environment)
  try {
    return await getServers([kind])
  } finally {
    process.env = before
    t.mock.restoreAll()
  }
}
