/** Three Memcached servers, as many as it takes to see where keys go when one of them dies. */
import type { ServerKind } from './kind.ts'
import { waitUntil } from './launch.ts'
import type { Place } from './place.ts'
import { answers } from './ports.ts'

export const memcached: ServerKind = {
  name: 'Memcached',
  variable: 'HOLDFAST_TEST_MEMCACHED',
  defaultPort: 11211,
  recipes: [{ program: 'memcached', image: 'memcached:1.6', debianPackage: 'memcached', ports: 3, start }],
}

async function start(place: Place, ports: readonly number[]): Promise<string> {
  const user = (await place.run('id', ['-u'])).trim() === '0' ? ['-u', 'nobody'] : []
  for (const port of ports) {
    await place.start('memcached', [...user, '-l', place.listenOn, '-p', String(port), '-U', '0', '-m', '64'])
  }
  for (const port of ports) {
    const answersVersion = () =>
      answers('127.0.0.1', port, 'version\r\n', (answer) => answer.startsWith('VERSION'))
    await waitUntil(place, answersVersion)
  }
  return `memcached://${ports.map((port) => `127.0.0.1:${port}`).join(',')}`
}
