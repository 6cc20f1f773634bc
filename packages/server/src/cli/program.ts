/** The command line as a whole. */

import { Command, CommanderError } from 'commander'
import { version } from '../version.ts'
import { exitCodeOf, exitCodes } from './exit-codes.ts'
import { failureDetails, failureLine } from './failure.ts'
import { addServeCommand } from './serve.ts'
import { addSessionCommands } from './sessions.ts'
import { addStoreCommands } from './store.ts'
import type { Terminal } from './terminal.ts'
import { addTokenCommands, examples } from './tokens.ts'

/** Every command, with its flags and help. */
export function createProgram(terminal: Terminal): Command {
  const program = new Command('holdfast')
    .description('Sessions and tokens: the service, and its tools for the command line')
    .version(version)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void terminal.output.write(text),
      writeErr: (text) => void terminal.errors.write(text),
    })
    .showHelpAfterError('(--help shows what there is)')
  addServeCommand(program, terminal)
  addTokenCommands(program, terminal)
  addSessionCommands(program, terminal)
  addStoreCommands(program, terminal)
  examples(program, [
    ['holdfast serve', 'run the service'],
    ['holdfast tokens issue --user ada --expires-in 30d', 'make a token, directly on the store'],
    ['holdfast tokens issue --help', 'everything about one command'],
  ])
  return program
}

/** Runs one command line and answers with its exit code. Never rejects. */
export async function run(line: readonly string[], terminal: Terminal): Promise<number> {
  const program = createProgram(terminal)
  try {
    await program.parseAsync(line, { from: 'user' })
    return exitCodes.ok
  } catch (error) {
    const failed = failureLine(error)
    if (failed !== undefined) terminal.errors.write(`${failed}\n`)
    if (wantsDetails(line, terminal)) terminal.errors.write(`${failureDetails(error) ?? ''}\n`)
    // No command at all prints the help, which is not what was meant by success.
    if (error instanceof CommanderError && error.code === 'commander.help') return exitCodes.usage
    return exitCodeOf(error)
  }
}

function wantsDetails(line: readonly string[], { environment }: Terminal): boolean {
  return line.includes('--verbose') || Boolean(environment['DEBUG'])
}
