/** `holdfast serve`: runs the service until it is told to stop. */

import { relative } from 'node:path'
import type { Command } from 'commander'
import { settingKeys, type Settings } from '../configuration/settings.ts'
import type { RunningService } from '../service/running.ts'
import { version } from '../version.ts'
import { addSettings, settingsOf } from './command.ts'
import type { Terminal } from './terminal.ts'
import { examples } from './tokens.ts'

/** Adds the command. */
export function addServeCommand(program: Command, terminal: Terminal): void {
  const command = program
    .command('serve')
    .description('run the HTTP service')
    .action(async (flags: Readonly<Record<string, unknown>>) => {
      const settings = settingsOf(flags, terminal)
      // Loaded here, so that the other commands don't wait for a web server that they don't need.
      const { startService } = await import('../service/running.ts')
      const service = await startService(settings)
      // Before the announcement: whoever has read it may already send a signal.
      const end = stopped(service)
      announce(service, settings, terminal)
      await end
    })
  examples(addSettings(command, settingKeys), [
    ['holdfast serve', 'on 127.0.0.1:7070, over the file holdfast.db'],
    [
      'HOLDFAST_STORE=redis://localhost holdfast serve --port 8080',
      'over Redis; a password in the URL stays out of the process list',
    ],
  ])
}

function announce(
  { address, store, installation }: RunningService,
  settings: Settings,
  terminal: Terminal,
): void {
  const { root } = installation
  const handover = howToGetRoot(root.file, settings, terminal)
  terminal.output.write(`holdfast ${version} on ${address}, store ${store}, root credential ${handover}\n`)
  if (root.minted !== undefined && terminal.output.isTTY) {
    terminal.output.write(`The root credential, shown this once: ${root.minted}\n`)
  }
}

function howToGetRoot(file: string | undefined, { rootToken }: Settings, terminal: Terminal): string {
  if (rootToken !== undefined) return 'from HOLDFAST_ROOT_TOKEN'
  if (file === undefined) return 'handed over before'
  const near = relative(terminal.folder, file)
  return `in ${near.startsWith('..') ? file : near}`
}

/** Resolves when the service was stopped by a signal. A second signal ends the process at once. */
function stopped(service: RunningService): Promise<void> {
  return new Promise((resolve, reject) => {
    let signalled = false
    const onSignal = (signal: 'SIGINT' | 'SIGTERM') => {
      if (signalled) process.exit(signal === 'SIGINT' ? 130 : 143)
      signalled = true
      service.stop().then(resolve, reject)
    }
    process.on('SIGINT', onSignal)
    process.on('SIGTERM', onSignal)
  })
}
