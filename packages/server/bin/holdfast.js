#!/usr/bin/env node
// Starts the command line. Only syntax that Node.js 14 can read is used here, so that someone with an old Node.js
// is told what to do about it instead of meeting a syntax error out of a dependency.
import * as fs from 'fs'
import * as module from 'module'

const found = process.versions.node
const needed = '22.13'

if (!isAtLeast(found, needed)) {
  fail(
    'holdfast needs Node.js ' +
      needed +
      ' or later and this is Node.js ' +
      found +
      ': install a current version from https://nodejs.org, then run the same command again.',
  )
} else if (fs.existsSync(new URL('../src/cli/main.ts', import.meta.url))) {
  startFromSource()
} else {
  import('../dist/cli/main.js')
}

// In a checkout there is nothing to build: the sources run, and `holdfast` resolves to its sources too.
function startFromSource() {
  if (!process.features.typescript) {
    fail(
      'holdfast runs from its sources here, which needs Node.js 22.18 or later and this is Node.js ' +
        found +
        '.',
    )
    return
  }
  if (module.registerHooks) {
    module.registerHooks({
      resolve(specifier, context, next) {
        return next(specifier, { ...context, conditions: [...context.conditions, 'holdfast-source'] })
      },
    })
  } else {
    const hook =
      'export const resolve = (specifier, context, next) => ' +
      "next(specifier, { ...context, conditions: [...context.conditions, 'holdfast-source'] })"
    module.register('data:text/javascript,' + encodeURIComponent(hook))
  }
  import('../src/cli/main.ts')
}

function isAtLeast(version, minimum) {
  const [major, minor] = version.split('.').map(Number)
  const [minimumMajor, minimumMinor] = minimum.split('.').map(Number)
  return major > minimumMajor || (major === minimumMajor && minor >= minimumMinor)
}

// The one line matters more than an exit code of its own: 1 is what every caller understands.
function fail(message) {
  process.stderr.write(message + '\n')
  process.exitCode = 1
}
