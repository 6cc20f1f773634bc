/** What the drop-in warns of: what express-session has deprecated, and a memory that is not meant for production. */

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { it } from 'node:test'

/** What a program writes to the terminal. */
function warningsOf(options: object, environment: Readonly<Record<string, string>> = {}): readonly string[] {
  const program = `
    import session from 'holdfast/express'
    session(${JSON.stringify(options)})
    session(${JSON.stringify(options)})`
  const { stderr } = spawnSync(
    process.execPath,
    ['--conditions=holdfast-source', '--input-type=module', '-e', program],
    {
      encoding: 'utf8',
      env: { ...process.env, NODE_ENV: '', ...environment },
    },
  )
  return stderr.split('\n').flatMap((line) => /Warning: holdfast\/express: (.*)/.exec(line)?.[1] ?? [])
}

it('options that are left out are warned of, once', () => {
  assert.deepEqual(warningsOf({}), [
    'undefined resave option; provide resave option',
    'undefined saveUninitialized option; provide saveUninitialized option',
    'req.secret; provide secret option',
  ])
})

it('nothing is warned of where everything is said', () => {
  const options = { secret: 'x', resave: false, saveUninitialized: false }
  assert.deepEqual(warningsOf(options), [])
})

it('the memory of the process is warned of in production', () => {
  const options = { secret: 'x', resave: false, saveUninitialized: false }
  const warnings = warningsOf(options, { NODE_ENV: 'production' })
  assert.match(warnings.join(), /not meant for production/)
})
