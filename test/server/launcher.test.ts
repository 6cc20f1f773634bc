/** The file that `holdfast` starts with: on Node.js versions old and new, in the checkout. */

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'

const launcher = fileURLToPath(new URL('../../packages/server/bin/holdfast.js', import.meta.url))
const manifest = new URL('../../packages/server/package.json', import.meta.url)
const { version, engines } = JSON.parse(readFileSync(manifest, 'utf8')) as {
  version: string
  engines: { node: string }
}

/** Starts `holdfast --version`, on a Node.js that claims to be of another version if one is given. */
function start(claimed?: string) {
  const versions = `{ ...process.versions, node: '${claimed}' }`
  const program = `Object.defineProperty(process, 'versions', { value: ${versions} })`
  const pretence =
    claimed === undefined ? [] : ['--import', `data:text/javascript,${encodeURIComponent(program)}`]
  const { status, stdout, stderr } = spawnSync(process.execPath, [...pretence, launcher, '--version'], {
    encoding: 'utf8',
  })
  return { status, stdout, stderr }
}

describe('the launcher', () => {
  it('runs the command line from the sources in a checkout', () => {
    const { status, stdout } = start()
    assert.equal(stdout.trim(), version)
    assert.equal(status, 0)
  })

  for (const old of ['14.21.3', '20.20.2', '22.12.0']) {
    it(`tells the user of Node.js ${old} in one line what to do`, () => {
      const { status, stdout, stderr } = start(old)
      assert.equal(status, 1)
      assert.equal(stdout, '')
      assert.equal(stderr.trimEnd().split('\n').length, 1)
      assert.match(stderr, /needs Node\.js 22\.13 or later and this is Node\.js [\d.]+: install/)
      assert.ok(stderr.includes(old))
    })
  }

  for (const supported of ['22.13.0', '24.0.0', '26.1.0']) {
    it(`has nothing against Node.js ${supported}`, () => {
      assert.equal(start(supported).status, 0)
    })
  }

  it('asks for what the package declares', () => {
    assert.equal(engines.node, '>=22.13')
  })
})
