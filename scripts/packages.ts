/**
 * `npm run check:packages`: builds and packs both packages and uses them as their users will: installed from the
 * tarballs, on plain Node.js, without this repository around them.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pack, run } from './packing.ts'
import { root } from './root.ts'
import { atEnd, tidyUp } from './tidy.ts'

interface Manifest {
  readonly name: string
  readonly version: string
  readonly dependencies?: Readonly<Record<string, string>>
  readonly exports: Readonly<Record<string, unknown>>
}

const temporary = mkdtempSync(join(tmpdir(), 'holdfast-packages-'))
atEnd(() => {
  rmSync(temporary, { recursive: true, force: true })
})

const library = readManifest('holdfast')
const server = readManifest('server')

step('the library has no runtime dependencies', () => {
  if (library.dependencies) throw new Error('packages/holdfast/package.json has `dependencies`')
})
step('the server depends on this version of the library', () => {
  if (server.dependencies?.['holdfast'] !== library.version) throw new Error(`it must say ${library.version}`)
})
step('build', () => run(process.execPath, [join(root, 'scripts/build.ts')]))

const tarballs = { library: tarballOf(library), server: tarballOf(server) }

step('publint', () => {
  for (const tarball of Object.values(tarballs)) run(bin('publint'), ['run', tarball, '--strict'])
})
step('are the types wrong', () => run(bin('attw'), [tarballs.library, '--profile', 'esm-only']))

const consumer = join(temporary, 'consumer')
step('install the tarballs elsewhere', () => {
  mkdirSync(consumer)
  write('package.json', JSON.stringify({ name: 'consumer', private: true, type: 'module' }))
  run('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', ...Object.values(tarballs)], consumer)
})

const entries = Object.keys(library.exports).map((entry) => entry.replace('.', library.name))
const modules = entries.filter((entry) => !entry.endsWith('.json'))
for (const entry of entries) {
  step(`import ${entry}`, () => {
    const attributes = entry.endsWith('.json') ? ", { with: { type: 'json' } }" : ''
    const program = `if (Object.keys(await import('${entry}'${attributes})).length === 0) throw new Error('empty')`
    run(process.execPath, ['--input-type=module', '--eval', program], consumer)
  })
}

for (const resolution of ['nodenext', 'bundler']) {
  step(`check types with moduleResolution ${resolution}`, () => {
    checkTypes(resolution)
  })
}

const command = join(consumer, 'node_modules/.bin/holdfast')
step('holdfast --version', () => {
  const version = run(command, ['--version'], consumer).trim()
  if (version !== server.version) throw new Error(`it says ${version} and is ${server.version}`)
})
step('holdfast --help', () => run(command, ['--help'], consumer))

await tidyUp()
console.log('Both packages are fit to be published.')

function readManifest(folder: string): Manifest {
  return JSON.parse(readFileSync(join(root, 'packages', folder, 'package.json'), 'utf8')) as Manifest
}

/** Packs a package, looks at what is in it, and gives the tarball's path. */
function tarballOf({ name }: Manifest): string {
  let tarball = ''
  step(`pack ${name}`, () => {
    const packed = pack(name, temporary)
    for (const wanted of ['LICENSE', 'README.md', 'package.json']) {
      if (!packed.files.some(({ path }) => path === wanted))
        throw new Error(`${wanted} is not in the package`)
    }
    console.log(`  ${packed.files.length} files, ${Math.round(packed.unpackedSize / 1024)} KiB`)
    tarball = join(temporary, packed.filename)
  })
  return tarball
}

/** Compiles a file that imports everything, with the declarations of the package checked as well. */
function checkTypes(resolution: string): void {
  const imports = modules.map((entry, index) => `import * as entry${index} from '${entry}'`)
  const uses = modules.map((_, index) => `entry${index}`).join(', ')
  write('consumer.ts', `${imports.join('\n')}\nexport const entries: readonly object[] = [${uses}]\n`)
  const compilerOptions = {
    module: resolution === 'bundler' ? 'esnext' : resolution,
    moduleResolution: resolution,
    target: 'es2023',
    lib: ['es2024'],
    strict: true,
    exactOptionalPropertyTypes: true,
    noEmit: true,
    skipLibCheck: false,
    typeRoots: [join(root, 'node_modules/@types')],
    types: ['node'],
  }
  write('tsconfig.json', JSON.stringify({ compilerOptions, files: ['consumer.ts'] }))
  run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', consumer], consumer)
}

function write(file: string, text: string): void {
  writeFileSync(join(consumer, file), text)
}

function bin(name: string): string {
  return join(root, 'node_modules/.bin', name)
}

function step(name: string, work: () => unknown): void {
  const started = performance.now()
  try {
    work()
  } catch (error) {
    console.log(`✘ ${name}`)
    throw error
  }
  console.log(`✔ ${name} (${((performance.now() - started) / 1000).toFixed(1)} s)`)
}
