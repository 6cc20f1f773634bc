/**
 * `npm run test:runtimes`: runs the tests on the lowest supported Node.js, on the one that development uses, and
 * on the newest. The other versions are installed when this is first run. `--fast` is what remains to be tried after
 * `npm test`: it leaves out the Node.js that runs this, the slow tests, and those of Bun and Deno.
 */
import { execFile } from 'node:child_process'
import { glob, readFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { root } from './root.ts'
import { serverKinds } from './servers/index.ts'
import { getServers } from './servers/launch.ts'
import { describeNoted, runSuite } from './suite.ts'
import { chooseTemporaryFolder } from './temporary.ts'
import { tidyUp } from './tidy.ts'

const execute = promisify(execFile)
const folder = join(root, 'scripts/runtimes')

const { values: options } = parseArgs({ options: { fast: { type: 'boolean', default: false } } })

/** Searches over schedules and faults of servers, and other runtimes: they don't depend on the version of Node.js. */
const left = [
  /^test\/examples\/runtimes\.test\.ts$/,
  /^test\/(models|records|stores|testing)\//,
  /-(acknowledge|failover|failures|faults|full|memory|processes|sentinel)\.test\.ts$/,
  /^test\/server\/(check|copy)\.test\.ts$/,
]

const nodes = await findNodes()
const files: string[] = []
for await (const file of glob('test/**/*.test.ts', { cwd: root })) {
  if (!(options.fast && isLeftOut(file))) files.push(join(root, file))
}
chooseTemporaryFolder()
const servers = await getServers(serverKinds)

for (const node of nodes) {
  const result = await runSuite({
    node,
    files: files.sort(),
    environment: { ...servers.environment, ...(options.fast && { HOLDFAST_TEST_FAST: '1' }) },
    quiet: true,
    // What is tried here is the version: what fails because of it fails again.
    repeats: 'failed',
    patience: 300_000,
  })
  const { passed, failed, skipped, repeated, milliseconds, succeeded } = result
  const good = succeeded && passed > 0
  const counts = `${passed} passed, ${failed.length} failed, ${skipped.length} skipped`
  console.log(
    `Node.js ${result.node}: ${good ? '' : 'FAILED, '}${counts}, ${(milliseconds / 1000).toFixed(1)} s`,
  )
  for (const noted of repeated)
    console.log(`  failed at first, and run again by itself: ${describeNoted(noted)}`)
  for (const noted of failed) console.log(`  failed: ${describeNoted(noted)}`)
  for (const file of result.stalled) console.log(`  ${relative(root, file)} did not end`)
  if (!good) process.exitCode = 1
}
await tidyUp()

function isLeftOut(file: string): boolean {
  return left.some((each) => each.test(file.replaceAll('\\', '/')))
}

/** Those in `scripts/runtimes` and, where all is to be tried, this one: oldest first. */
async function findNodes(): Promise<readonly string[]> {
  const manifest = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as {
    readonly dependencies: Readonly<Record<string, string>>
  }
  const others = Object.entries(manifest.dependencies).map(([name, specifier]) => ({
    path: join(folder, 'node_modules', name, 'bin/node'),
    version: specifier.replace('npm:node@', ''),
  }))
  if (!(await allRun(others))) {
    console.log(`Installing Node.js ${others.map((other) => other.version).join(' and ')} ...`)
    await execute('npm', ['ci'], { cwd: folder, shell: process.platform === 'win32' })
  }
  const own = { path: process.execPath, version: process.versions.node }
  const all = options.fast ? others : [...others, own]
  return all
    .sort((a, b) => a.version.localeCompare(b.version, 'en', { numeric: true }))
    .map(({ path }) => path)
}

async function allRun(
  nodes: readonly { readonly path: string; readonly version: string }[],
): Promise<boolean> {
  const versions = nodes.map(({ path, version }) =>
    execute(path, ['--version']).then(
      ({ stdout }) => stdout.trim() === `v${version}`,
      () => false,
    ),
  )
  return (await Promise.all(versions)).every(Boolean)
}
