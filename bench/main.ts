/** `npm run bench -- NAME… [--json] [--rounds N]`: measures ours against theirs, in turn, in one run. */

import { parseArgs } from 'node:util'
import { commit } from './commit.ts'
import { introspect } from './introspect.ts'
import type { Benchmark, Result } from './measure.ts'
import { read } from './read.ts'

const benchmarks: Readonly<Record<string, Benchmark>> = { read, commit, introspect }

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'boolean' }, rounds: { type: 'string', default: '7' }, help: { type: 'boolean' } },
})

const names = positionals.length > 0 ? positionals : Object.keys(benchmarks)
const unknown = names.filter((name) => !Object.hasOwn(benchmarks, name))
const rounds = Number(values.rounds)

if (values.help || unknown.length > 0 || !Number.isInteger(rounds) || rounds < 1) {
  const problem = unknown.length > 0 ? `no benchmark is called ${unknown.join(', ')}\n\n` : ''
  process.stderr.write(
    `${problem}npm run bench -- [NAME …] [--json] [--rounds N]\n\nNames: ${Object.keys(benchmarks).join(', ')}\n` +
      'A ratio above 1 means that ours is faster.\n',
  )
  process.exit(values.help ? 0 : 2)
}

for (const name of names) {
  const result = { name, ...(await benchmarks[name]!({ rounds })) }
  process.stdout.write(values.json ? `${JSON.stringify(result)}\n` : `${table(result)}\n`)
}

function table(result: { readonly name: string } & Result): string {
  const { name, ours, theirs, ratio, unit, note } = result
  const figures = `ours ${format(ours)}   theirs ${format(theirs)} ${unit}   ratio ${ratio.toFixed(2)}`
  return `${name.padEnd(12)} ${figures}\n${' '.repeat(13)}${note}`
}

function format(figure: number): string {
  return Math.round(figure).toLocaleString('en')
}
