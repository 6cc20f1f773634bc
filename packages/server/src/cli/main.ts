/** Runs the command line of this process. Importing it is enough. */

import { run } from './program.ts'
import { processTerminal } from './terminal.ts'

// A reader that has seen enough (`| head`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit(0)
})

process.exitCode = await run(process.argv.slice(2), processTerminal())
