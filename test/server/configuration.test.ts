import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { configure, type Sources } from '../../packages/server/src/configuration/configuration.ts'
import { ConfigurationInvalid } from '../../packages/server/src/configuration/kinds.ts'
import { settingKeys, settingsTable } from '../../packages/server/src/configuration/settings.ts'
import { folderFor } from './running.ts'

function refusal(sources: Sources): string {
  try {
    configure({ environment: {}, ...sources })
  } catch (error) {
    assert.ok(error instanceof ConfigurationInvalid, String(error))
    assert.equal(error.code, 'HOLDFAST_CONFIGURATION_INVALID')
    return error.message
  }
  assert.fail('it was accepted')
}

describe('configuration', () => {
  it('has the defaults where nothing is given', async (t) => {
    const { settings, origins } = configure({ environment: {}, folder: await folderFor(t) })
    assert.equal(settings.store, 'sqlite:holdfast.db')
    assert.equal(settings.host, '127.0.0.1')
    assert.equal(settings.port, 7070)
    assert.equal(settings.bodyLimit, 256 * 1024)
    assert.equal(settings.sweepEvery, 300_000)
    assert.equal(settings.seal, false)
    assert.equal(settings.rootToken, undefined)
    assert.equal(origins.port, 'the default')
  })

  it('lets a flag beat the environment, which beats the file, which beats the default', async (t) => {
    const folder = await folderFor(t)
    const file = join(folder, 'holdfast.json')
    await writeFile(file, JSON.stringify({ port: 1001, host: 'a.example', namespace: 'from-file' }))
    const environment = { HOLDFAST_PORT: '1002', HOLDFAST_HOST: 'b.example' }
    const { settings, origins } = configure({ folder, environment, flags: { port: '1003' } })
    assert.equal(settings.port, 1003)
    assert.equal(settings.host, 'b.example')
    assert.equal(settings.namespace, 'from-file')
    assert.equal(settings.store, 'sqlite:holdfast.db')
    assert.deepEqual(
      [origins.port, origins.host, origins.namespace, origins.store],
      ['--port', 'HOLDFAST_HOST', `"namespace" in ${file}`, 'the default'],
    )
  })

  it('takes an empty variable as not set, and lets a flag switch off what the file switched on', async (t) => {
    const folder = await folderFor(t)
    await writeFile(join(folder, 'holdfast.json'), JSON.stringify({ seal: true }))
    const { settings } = configure({ folder, environment: { HOLDFAST_PORT: '' }, flags: { seal: false } })
    assert.equal(settings.port, 7070)
    assert.equal(settings.seal, false)
  })

  it('reads another file where one is named, and refuses one that is not there', async (t) => {
    const folder = await folderFor(t)
    await writeFile(join(folder, 'other.json'), JSON.stringify({ port: 1234 }))
    assert.equal(configure({ folder, environment: {}, file: 'other.json' }).settings.port, 1234)
    assert.equal(configure({ folder, environment: { HOLDFAST_CONFIG: 'other.json' } }).settings.port, 1234)
    assert.match(refusal({ folder, file: 'missing.json' }), /cannot be read.*missing\.json/)
  })

  it('refuses unknown keys and names the known ones', async (t) => {
    const folder = await folderFor(t)
    await writeFile(join(folder, 'holdfast.json'), JSON.stringify({ prot: 1, port: 2, hots: 'x' }))
    const message = refusal({ folder })
    assert.match(message, /holdfast\.json has unknown keys: "prot", "hots"\. Known are store, /)
    for (const key of settingKeys.filter((each) => settingsTable[each].inFile))
      assert.ok(message.includes(key), key)
  })

  it('refuses the root credential in the file, where it does not belong', async (t) => {
    const folder = await folderFor(t)
    const secret = 'a-root-credential-in-a-file'
    await writeFile(join(folder, 'holdfast.json'), JSON.stringify({ rootToken: secret }))
    const message = refusal({ folder })
    assert.match(message, /unknown keys: "rootToken".*HOLDFAST_ROOT_TOKEN instead/)
    assert.ok(!message.includes(secret))
  })

  it('refuses a file that is not one JSON object', async (t) => {
    const folder = await folderFor(t)
    await writeFile(join(folder, 'holdfast.json'), '{ port: 1 }')
    assert.match(refusal({ folder }), /is not JSON/)
    await writeFile(join(folder, 'holdfast.json'), '[1]')
    assert.match(refusal({ folder }), /must hold one JSON object/)
  })

  it('says where a bad value came from', async (t) => {
    const folder = await folderFor(t)
    assert.match(refusal({ folder, flags: { port: '99999' } }), /^--port must be a whole number.*not "99999"/)
    assert.match(
      refusal({ folder, environment: { HOLDFAST_PORT: 'tcp://10.0.0.1:7070' } }),
      /^HOLDFAST_PORT must/,
    )
    await writeFile(join(folder, 'holdfast.json'), JSON.stringify({ port: true }))
    assert.match(refusal({ folder }), /^"port" in .*holdfast\.json must be a whole number.*not true/)
  })

  const bad: readonly (readonly [keyof typeof settingsTable, readonly unknown[]])[] = [
    ['store', ['', 5]],
    ['port', ['7070.5', '-1', '0x10', 1.5, null]],
    ['bodyLimit', ['0', '10GB', 'lots', '2MiB', -1]],
    ['deadline', ['30', '5 s', 'soon', -1, 0]],
    ['sessionIdle', ['0s', '1y']],
    ['sweepEvery', ['60d']],
    ['seal', ['yes', 1]],
    ['logLevel', ['loud']],
    ['rootToken', ['short', 'with a space in the middle of it', 'ünicode-credential-of-some-length']],
  ]
  for (const [key, values] of bad) {
    it(`refuses bad values of ${key}`, async (t) => {
      const folder = await folderFor(t)
      for (const value of values)
        assert.match(refusal({ folder, flags: { [key]: value } }), /must (be|have) /)
    })
  }

  it('never shows the root credential in a refusal', async (t) => {
    const folder = await folderFor(t)
    const environment = { HOLDFAST_ROOT_TOKEN: 'too short secret' }
    assert.ok(!refusal({ folder, environment }).includes('too short secret'))
  })

  it('reads sizes and durations with their units', async (t) => {
    const folder = await folderFor(t)
    const flags = { bodyLimit: '1MiB', deadline: '250ms', sessionIdle: '14d', sessionAbsolute: '30d' }
    const { settings } = configure({ folder, environment: {}, flags })
    assert.deepEqual(
      [settings.bodyLimit, settings.deadline, settings.sessionIdle],
      [1024 * 1024, 250, 14 * 24 * 3_600_000],
    )
  })

  it('refuses settings that contradict each other', async (t) => {
    const folder = await folderFor(t)
    assert.match(refusal({ folder, flags: { acceptPlain: true } }), /--accept-plain needs sealing/)
    assert.match(
      refusal({ folder, flags: { sessionIdle: '2d' } }),
      /idle timeout \(--session-idle\) must not be longer/,
    )
  })
})
