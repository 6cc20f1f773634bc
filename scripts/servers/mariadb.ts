/** A MariaDB with its default durability, so that what it acknowledged is on disk; and MySQL, which is only given. */
import type { ServerKind } from './kind.ts'
import { waitUntil } from './launch.ts'
import type { Place } from './place.ts'

export const mariadb: ServerKind = {
  name: 'MariaDB',
  variable: 'HOLDFAST_TEST_MARIADB',
  defaultPort: 3306,
  recipes: [
    {
      program: 'mariadbd',
      folders: ['/usr/sbin', '/usr/libexec', '/opt/homebrew/opt/mariadb/bin'],
      image: 'mariadb:11.4',
      debianPackage: 'mariadb-server',
      ports: 1,
      start,
    },
  ],
}

/** Never started: no package registry that the tests can count on has it. */
export const mysql: ServerKind = {
  name: 'MySQL',
  variable: 'HOLDFAST_TEST_MYSQL',
  defaultPort: 3306,
  recipes: [],
}

async function start(place: Place, [port = 0]: readonly number[]): Promise<string> {
  const data = `${place.folder}/mariadb`
  const socket = `${place.folder}/mariadb.sock`
  const user = (await place.run('id', ['-u'])).trim() === '0' ? ['--user=root'] : []
  const creation = ['--auth-root-authentication-method=normal', '--skip-test-db', '--skip-name-resolve']
  await place.run('mariadb-install-db', ['--no-defaults', `--datadir=${data}`, ...user, ...creation])
  await place.start('mariadbd', [
    '--no-defaults',
    `--datadir=${data}`,
    ...user,
    `--bind-address=${place.listenOn}`,
    `--port=${port}`,
    `--socket=${socket}`,
    `--pid-file=${place.folder}/mariadb.pid`,
    '--skip-name-resolve',
    '--skip-log-bin',
    '--innodb-buffer-pool-size=64M',
    '--max-connections=300',
  ])
  const ask = (query: string) =>
    place.run('mariadb', ['--no-defaults', `--socket=${socket}`, '--user=root', '--batch', '-e', query])
  await waitUntil(place, async () => (await ask('SELECT 42')).includes('42'))
  // In a container, clients come from another address than the server's own.
  await ask(
    "CREATE USER IF NOT EXISTS root@'%'; GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION; CREATE DATABASE holdfast",
  )
  return `mariadb://root@127.0.0.1:${port}/holdfast`
}
