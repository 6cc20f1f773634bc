/**
 * A MongoDB where there is one; else FerretDB, which speaks its protocol and keeps the data in SQLite. Which of them it
 * is stands in the output. A replica set of MongoDB is only given.
 */
import { execFile } from 'node:child_process'
import { access, cp, mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Recipe, ServerKind } from './kind.ts'
import { waitUntil } from './launch.ts'
import { folderOf } from './origin.ts'
import type { Place } from './place.ts'
import { canConnect } from './ports.ts'

const execute = promisify(execFile)

/** The last of the line that keeps data in SQLite; from 2.0 on FerretDB needs an extended PostgreSQL. */
const ferretVersion = 'v1.24.0'

const realMongodb: Recipe = {
  program: 'mongod',
  image: 'mongo:7',
  ports: 1,
  async start(place, [port = 0]) {
    const data = await newFolder(place, 'mongodb')
    const listening = ['--port', String(port), '--bind_ip', place.listenOn]
    await place.start('mongod', ['--dbpath', data, ...listening, '--nounixsocket'])
    return await ready(place, port)
  },
}

const ferretdb: Recipe = {
  program: 'ferretdb',
  build: buildFerretdb,
  ports: 1,
  async start(place, [port = 0]) {
    const data = await newFolder(place, 'data')
    const state = await newFolder(place, 'state')
    await place.start('ferretdb', [
      '--handler=sqlite',
      `--sqlite-url=file:${data}/`,
      `--state-dir=${state}`,
      `--listen-addr=${place.listenOn}:${port}`,
      '--debug-addr=-',
      '--telemetry=disable',
      '--log-level=ERROR',
    ])
    return await ready(place, port)
  },
}

export const mongodb: ServerKind = {
  name: 'MongoDB',
  variable: 'HOLDFAST_TEST_MONGODB',
  defaultPort: 27017,
  recipes: [realMongodb, ferretdb],
}

/** Never started: no package registry that the tests can count on has a MongoDB. */
export const mongodbReplicaSet: ServerKind = {
  name: 'MongoDB replica set',
  variable: 'HOLDFAST_TEST_MONGODB_REPLICA_SET',
  defaultPort: 27017,
  recipes: [],
}

async function newFolder(place: Place, name: string): Promise<string> {
  await place.run('mkdir', [`${place.folder}/${name}`])
  return `${place.folder}/${name}`
}

async function ready(place: Place, port: number): Promise<string> {
  await waitUntil(place, () => canConnect('127.0.0.1', port))
  return `mongodb://127.0.0.1:${port}/holdfast`
}

/** Builds FerretDB from the Go module proxy, once for this machine. Takes about a minute. */
async function buildFerretdb(): Promise<string> {
  const folder = join(
    process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'),
    'holdfast',
    `ferretdb-${ferretVersion}`,
  )
  const program = join(folder, 'ferretdb')
  if (await exists(program)) return folder
  const go = await folderOf('go', ['/usr/local/go/bin'])
  if (go === undefined) throw new Error('ferretdb is not on the PATH, and there is no Go to build it with')
  console.log(`Building FerretDB ${ferretVersion} ...`)
  const source = join(tmpdir(), `holdfast-ferretdb-${process.pid}`)
  try {
    await buildIn(source, join(go, 'go'))
    await mkdir(folder, { recursive: true })
    // Moved into place as a whole: another build may be running.
    await cp(join(source, 'built'), `${program}-${process.pid}`)
    await rename(`${program}-${process.pid}`, program)
  } finally {
    await rm(source, { recursive: true, force: true })
  }
  return folder
}

async function buildIn(source: string, go: string): Promise<void> {
  const module = `github.com/FerretDB/FerretDB@${ferretVersion}`
  const { stdout } = await execute(go, ['mod', 'download', '-json', module], {
    cwd: tmpdir(),
    env: { ...process.env, GOFLAGS: '' },
  })
  const { Dir } = JSON.parse(stdout) as { readonly Dir: string }
  await cp(Dir, source, { recursive: true })
  await execute('chmod', ['-R', 'u+w', source])
  // The module leaves out this file, without which the program doesn't start.
  await writeFile(join(source, 'build/version/version.txt'), ferretVersion)
  await execute(go, ['build', '-C', source, '-buildvcs=false', '-o', 'built', './cmd/ferretdb'], {
    env: { ...process.env, GOFLAGS: '-mod=mod', GOMAXPROCS: '2' },
  })
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  )
}
