/** A master, a replica that follows it, and three Sentinels that watch over them: of a test's own. */

import { PrivateServer } from './servers.ts'
import { until } from '../../until.ts'

const quick = ['--repl-diskless-sync-delay', '0', '--repl-ping-replica-period', '1']

export class PrivateSentinels {
  readonly servers: readonly PrivateServer[]
  readonly sentinels: readonly PrivateServer[]

  private constructor(servers: readonly PrivateServer[], sentinels: readonly PrivateServer[]) {
    this.servers = servers
    this.sentinels = sentinels
  }

  static async start(): Promise<PrivateSentinels> {
    const master = await PrivateServer.start(...quick)
    const replica = await PrivateServer.start(...quick, '--replicaof', `127.0.0.1 ${master.port}`)
    // A master that is killed before its replica follows it is never replaced.
    await until('the replica follows', async () => {
      return (await replica.ask('info', 'replication')).includes('master_link_status:up')
    })
    const sentinels: PrivateServer[] = []
    for (let i = 0; i < 3; i++) sentinels.push(await PrivateServer.startSentinel(configuration(master.port)))
    for (const sentinel of sentinels) {
      await until('the Sentinels know each other and the replica', async () => {
        const state = await sentinel.ask('sentinel', 'master', 'mymaster')
        return /num-slaves\n1\n/.test(state) && /num-other-sentinels\n2\n/.test(state)
      })
    }
    return new PrivateSentinels([master, replica], sentinels)
  }

  /** The URL for `openStore`. */
  get url(): string {
    return `redis+sentinel://${this.sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',')}/mymaster`
  }

  /** Which server the Sentinels call the master. */
  async master(): Promise<PrivateServer> {
    const told = await this.sentinels[0]?.ask('sentinel', 'get-master-addr-by-name', 'mymaster')
    const found = this.servers.find(({ port }) => told?.includes(String(port)))
    if (!found) throw new Error('the Sentinels know no master')
    return found
  }

  /** Kills the master. A replica takes over some time later. */
  async killMaster(): Promise<void> {
    const master = await this.master()
    await master.kill()
  }

  async stop(): Promise<void> {
    for (const server of [...this.sentinels, ...this.servers]) await server.stop()
  }
}

function configuration(port: number): string {
  return [
    `sentinel monitor mymaster 127.0.0.1 ${port} 2`,
    'sentinel down-after-milliseconds mymaster 700',
    'sentinel failover-timeout mymaster 3000',
  ].join('\n')
}
