/**
 * A standalone Redis, a Cluster of three masters with one replica each, and a master with one replica under three
 * Sentinels. None keeps anything on disk.
 */
import type { ServerKind } from './kind.ts'
import { waitUntil } from './launch.ts'
import type { Place } from './place.ts'

const binary = { program: 'redis-server', image: 'redis:7', debianPackage: 'redis-server' } as const

export const redis: ServerKind = {
  name: 'Redis',
  variable: 'HOLDFAST_TEST_REDIS',
  defaultPort: 6379,
  recipes: [
    {
      ...binary,
      ports: 1,
      async start(place, [port = 0]) {
        await startNode(place, port, [])
        await waitUntil(place, () => answersPing(place, port))
        return addressOf(port)
      },
    },
  ],
}

export const redisCluster: ServerKind = {
  name: 'Redis Cluster',
  variable: 'HOLDFAST_TEST_REDIS_CLUSTER',
  defaultPort: 6379,
  recipes: [{ ...binary, ports: 6, start: startCluster }],
}

export const redisSentinel: ServerKind = {
  name: 'Redis Sentinel',
  variable: 'HOLDFAST_TEST_REDIS_SENTINEL',
  defaultPort: 26379,
  recipes: [{ ...binary, ports: 5, start: startSentinels }],
}

/** Never started: no package registry that the tests can count on has it. Its protocol is that of Redis. */
export const valkey: ServerKind = {
  name: 'Valkey',
  variable: 'HOLDFAST_TEST_VALKEY',
  defaultPort: 6379,
  recipes: [],
}

async function startCluster(place: Place, ports: readonly number[]): Promise<string> {
  for (const port of ports) await startNode(place, port, clusterOptions(port))
  for (const port of ports) await waitUntil(place, () => answersPing(place, port))
  const nodes = ports.map((port) => `127.0.0.1:${port}`)
  const layout = ['--cluster-replicas', '1', '--cluster-yes']
  await place.run('redis-cli', ['--cluster', 'create', ...nodes, ...layout])
  for (const port of ports) await waitUntil(place, () => isSettled(place, port))
  return ports.map(addressOf).join(',')
}

async function startSentinels(
  place: Place,
  [master = 0, replica = 0, ...sentinels]: readonly number[],
): Promise<string> {
  // A master that was killed comes back as a replica of the other, and has to be known by the address of before.
  const announced = ['--replica-announce-ip', '127.0.0.1', '--repl-diskless-sync-delay', '0']
  await startNode(place, master, announced)
  await startNode(place, replica, [...announced, '--replicaof', '127.0.0.1', String(master)])
  await waitUntil(place, async () => {
    return (await ask(place, replica, ['info', 'replication'])).includes('master_link_status:up')
  })
  for (const port of sentinels) {
    await place.write(`sentinel-${port}.conf`, sentinelSettings(place, port, master))
    await place.start('redis-server', [`${place.folder}/sentinel-${port}.conf`, '--sentinel'])
  }
  for (const port of sentinels) await waitUntil(place, () => seesAll(place, port))
  return `redis+sentinel://${sentinels.map((port) => `127.0.0.1:${port}`).join(',')}/mymaster`
}

/** Patient: who tests a fail-over starts servers of their own, and a machine that stands still must not begin one here. */
function sentinelSettings(place: Place, port: number, master: number): readonly string[] {
  return [
    `port ${port}`,
    `bind ${place.listenOn}`,
    'protected-mode no',
    `dir ${place.folder}`,
    'sentinel announce-ip 127.0.0.1',
    `sentinel monitor mymaster 127.0.0.1 ${master} 2`,
    'sentinel down-after-milliseconds mymaster 30000',
  ]
}

/** Whether a Sentinel knows the replica and both other Sentinels: before that there is no fail-over. */
async function seesAll(place: Place, port: number): Promise<boolean> {
  const words = (await ask(place, port, ['sentinel', 'master', 'mymaster'])).split(/\r?\n/)
  const valueOf = (name: string) => words[words.indexOf(name) + 1]
  return valueOf('num-slaves') === '1' && valueOf('num-other-sentinels') === '2'
}

async function answersPing(place: Place, port: number): Promise<boolean> {
  return (await ask(place, port, ['ping'])).includes('PONG')
}

function clusterOptions(port: number): readonly string[] {
  return [
    ['--cluster-enabled', 'yes'],
    ['--cluster-config-file', `nodes-${port}.conf`],
    // Redis's own default, for the same reason.
    ['--cluster-node-timeout', '15000'],
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
