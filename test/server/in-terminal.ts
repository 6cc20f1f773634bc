/** A command line in this process, which is quicker than a process of its own and the same but for the process. */

import { Readable, Writable } from 'node:stream'
import { run } from '../../packages/server/src/cli/program.ts'
import { type Ended, patient } from './running.ts'

interface Surroundings {
  readonly folder: string
  readonly isTTY?: boolean
  readonly environment?: Readonly<Record<string, string>>
}

/** Runs a command line to its end. Paths in it must be absolute: the working directory is shared. */
export async function inTerminal(
  line: readonly string[],
  { folder, isTTY = false, environment = {} }: Surroundings,
): Promise<Ended> {
  let out = ''
  let err = ''
  const errors = new Writable({
    write: (text: Buffer, _encoding, done) => done(void (err += text.toString())),
  })
  const code = await run(line, {
    input: Readable.from([]),
    output: { write: (text) => (out += text) },
    errors: Object.assign(errors, { isTTY, columns: 100 }),
    environment: { ...patient, ...environment },
    folder,
  })
  return { code, out, err }
}
