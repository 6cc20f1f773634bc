/** Other runtimes of JavaScript, which the examples are run on. */
import { fromNpm, programKind } from './program.ts'

export const bun = programKind('Bun', [fromNpm('bun', '1.4.5')])

export const deno = programKind('Deno', [fromNpm('deno', '2.9.6')])
