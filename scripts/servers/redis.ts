/** A standalone Redis, and a Cluster of three masters with one replica each. Neither keeps anything on disk. */
import { waitUntil } from './launch.ts'
import type { ServerKind } from './launch.ts'
import type { Place } from './place.ts'

const binary = { program: 'redis-server', image: 'redis:7', debianPackage: 'redis-server' } as const

export const redis: ServerKind = {
  name: 'Redis',
  variable: 'HOLDFAST_TEST_REDIS',
  ...binary,
  ports: 1,
  async start(place, [port = 0]) {
    await startNode(place, port, [])
    await waitUntil(place, async () => (await ask(place, port, ['ping'])).includes('PONG'))
    return addressOf(port)
  },
}

export const redisCluster: ServerKind = {
  name: 'Redis Cluster',
  variable: 'HOLDFAST_TEST_REDIS_CLUSTER',
  ...binary,
  ports: 6,
  async start(place, ports) {
    for (const port of ports) await startNode(place, port, clusterOptions(port))
    for (const port of ports) {
      await waitUntil(place, async () => (await ask(place, port, ['ping'])).includes('PONG'))
    }
    const nodes = ports.map((port) => `127.0.0.1:${port}`)
    const layout = ['--cluster-replicas', '1', '--cluster-yes']
    await place.run('redis-cli', ['--cluster', 'create', ...nodes, ...layout])
    for (const port of ports) await waitUntil(place, () => isSettled(place, port))
    return ports.map(addressOf).join(',')
  },
}

function clusterOptions(port: number): readonly string[] {
  return [
    ['--cluster-enabled', 'yes'],
    ['--cluster-config-file', `nodes-${port}.conf`],
    ['--cluster-node-timeout', '1000'],
    ['--cluster-announce-ip', '127.0.0.1'],
    ['--repl-diskless-sync-delay', '0'],
  ].flat()
}

async function startNode(place: Place, port: number, options: readonly string[]): Promise<void> {
  const listening = ['--port', String(port), '--bind', place.listenOn, '--protected-mode', 'no']
  const nothingOnDisk = ['--save', '', '--appendonly', 'no', '--dir', place.folder]
  await place.start('redis-server', [...listening, ...nothingOnDisk, ...options])
}

/**
 * Whether a node sees the whole cluster and, as a replica, follows its master. A master that is killed before its
 * replica follows it is never replaced.
 */
async function isSettled(place: Place, port: number): Promise<boolean> {
  const cluster = await ask(place, port, ['cluster', 'info'])
  if (!cluster.includes('cluster_state:ok') || !cluster.includes('cluster_known_nodes:6')) return false
  const replication = await ask(place, port, ['info', 'replication'])
  return replication.includes('role:slave')
    ? replication.includes('master_link_status:up')
    : replication.includes('connected_slaves:1')
}

function ask(place: Place, port: number, command: readonly string[]): Promise<string> {
  return place.run('redis-cli', ['-p', String(port), ...command])
}

function addressOf(port: number): string {
  return `redis://127.0.0.1:${port}`
}
