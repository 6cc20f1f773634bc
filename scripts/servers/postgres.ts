/** A PostgreSQL with default settings, so that what it acknowledged is on disk. */
import type { ServerKind } from './kind.ts'
import { waitUntil } from './launch.ts'
import type { Place } from './place.ts'

export const postgres: ServerKind = {
  name: 'PostgreSQL',
  variable: 'HOLDFAST_TEST_POSTGRES',
  defaultPort: 5432,
  recipes: [
    {
      program: 'postgres',
      // Debian and its kin keep these programs out of the PATH; so does Homebrew for other than the newest.
      folders: ['/usr/lib/postgresql/*/bin', '/usr/pgsql-*/bin', '/opt/homebrew/opt/postgresql@*/bin'],
      image: 'postgres:17',
      debianPackage: 'postgresql',
      ports: 1,
      start,
    },
  ],
}

async function start(place: Place, [port = 0]: readonly number[]): Promise<string> {
  const data = `${place.folder}/postgres`
  const prefix = await notAsRoot(place, data)
  const run = (program: string, args: readonly string[]) => runWith(prefix, program, args)
  const creation = [
    '-D',
    data,
    '-U',
    'postgres',
    '-A',
    'trust',
    '--no-sync',
    '-E',
    'UTF8',
    '--locale=C.UTF-8',
  ]
  await place.run(...run('initdb', creation))
  await place.write('pg_hba.conf', ['local all all trust', 'host all all all trust'])
  const settings = [
    `listen_addresses=${place.listenOn}`,
    `port=${port}`,
    `unix_socket_directories=${data}`,
    `hba_file=${place.folder}/pg_hba.conf`,
    'max_connections=200',
  ]
  const server = ['-D', data, ...settings.flatMap((setting) => ['-c', setting])]
  // SIGTERM would wait for the clients to go.
  await place.start(...run('postgres', server), 'SIGINT')
  const ask = (...query: readonly string[]) =>
    place.run('psql', ['-h', data, '-p', String(port), '-U', 'postgres', ...query])
  await waitUntil(place, async () => (await ask('-Atc', 'select 42')).includes('42'))
  await ask('-qc', 'create database holdfast')
  return `postgres://postgres@127.0.0.1:${port}/holdfast`
}

/** PostgreSQL refuses to run as root: what comes before its programs, whose data is in `folder`, is the answer. */
async function notAsRoot(place: Place, folder: string): Promise<readonly string[]> {
  if ((await place.run('id', ['-u'])).trim() !== '0') return []
  await place.run('chmod', ['o+rx', place.folder])
  await place.run('install', ['-d', '-o', 'postgres', '-g', 'postgres', '-m', '700', folder])
  return ['setpriv', '--reuid', 'postgres', '--regid', 'postgres', '--clear-groups']
}

function runWith(
  [first, ...rest]: readonly string[],
  program: string,
  args: readonly string[],
): [program: string, args: readonly string[]] {
  return first === undefined ? [program, args] : [first, [...rest, program, ...args]]
}
