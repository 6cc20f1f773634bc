/** `npm run bench -- NAME… [--json] [--rounds N] …`: measures ours against theirs, in turn, in one run. */

import { parseArgs } from 'node:util'
import { tidyUp } from '../scripts/tidy.ts'
import { type Backend, backendNames, backendsOf, sayFailed } from './backends.ts'
import { bytes } from './bytes.ts'
import { commit } from './commit.ts'
import { FilledStores } from './filled.ts'
import { storeGrowth } from './growth.ts'
import { introspect } from './introspect.ts'
import type { Benchmark, FilledSeries, Result, Series, Settings } from './measure.ts'
import { read } from './read.ts'
import { revocationLag } from './revocation-lag.ts'
import { inScratch } from './scratch.ts'
import { planned } from './sizes.ts'
import { sessionBytes } from './session-bytes.ts'
import { storeList, storeRead, storeSave } from './stores.ts'
import { sweep } from './sweep.ts'
import { tierHit, verify } from './tiers.ts'
import { express, expressRedis, expressWrite, fastify } from './web.ts'

const benchmarks: Readonly<Record<string, Benchmark>> = {
  read,
  commit,
  introspect,
  'tier-hit': tierHit,
  verify,
}
/** With several results, and servers that they find themselves. */
const alone: Readonly<Record<string, Series>> = {
  bytes,
  'session-bytes': sessionBytes,
  express,
  'express-redis': expressRedis,
  'express-write': expressWrite,
  fastify,
}
const series: Readonly<Record<string, Series>> = {
  'store-read': storeRead,
  'store-save': storeSave,
  'revocation-lag': revocationLag,
}
/** In this order for each store: what one has filled serves the next. */
const ofFilled: Readonly<Record<string, FilledSeries>> = {
  'store-list': storeList,
  'store-growth': storeGrowth,
  sweep,
}
const all = [benchmarks, alone, series, ofFilled].flatMap((each) => Object.keys(each))

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'boolean' },
    rounds: { type: 'string', default: '7' },
    scale: { type: 'string', default: '1' },
    stores: { type: 'string', default: backendNames.join(',') },
    large: { type: 'boolean', default: false },
    help: { type: 'boolean' },
  },
})

const names = positionals.length > 0 ? positionals : all
const stores = values.stores.split(',')
const rounds = Number(values.rounds)
const scale = Number(values.scale)
/** Names this run: what was compared in one run isn't mixed with that of another. */
const run = new Date().toISOString()
const problems = [
  ...names.filter((name) => !all.includes(name)).map((name) => `no benchmark is called ${name}`),
  ...stores.filter((name) => !backendNames.includes(name)).map((name) => `no store is called ${name}`),
  ...(Number.isInteger(rounds) && rounds > 0 ? [] : ['--rounds is a whole number above 0']),
  ...(scale > 0 && scale <= 1 ? [] : ['--scale is above 0 and at most 1']),
]

if (values.help || problems.length > 0) {
  process.stderr.write(
    `${problems.map((problem) => `${problem}\n`).join('')}npm run bench -- [NAME …] [--json] [--rounds N]
  [--stores NAME,…] [--scale FRACTION] [--large]

Names:  ${all.join(', ')}
Stores: ${backendNames.join(', ')}; their servers are found as for the tests
--scale  a fraction of the records and operations, to try something out
--large  store-growth and bytes go up to 10 million records
A ratio above 1 means that ours is faster.
`,
  )
  process.exit(values.help ? 0 : 2)
}

await inScratch(async (folder) => {
  const needed = names.some((name) => !Object.hasOwn(benchmarks, name) && !Object.hasOwn(alone, name))
  const settings = {
    rounds,
    scale,
    large: values.large,
    backends: needed ? await backendsOf(stores, folder) : [],
  }
  for (const name of names) await measure(name, settings)
  for (const backend of settings.backends) await measureFilled(backend, settings)
})
await tidyUp()

async function measure(name: string, settings: Settings): Promise<void> {
  const one = benchmarks[name]
  if (one) show({ name, ...(await one(settings)) })
  for await (const { of, ...result } of (alone[name] ?? series[name])?.(settings) ?? [])
    show({ name: `${name} ${of}`, ...result })
}

/** What is measured in filled stores, one backend after the other, so that no two are kept filled. */
async function measureFilled(backend: Backend, settings: Settings): Promise<void> {
  const chosen = Object.keys(ofFilled).filter((name) => names.includes(name))
  if (chosen.length === 0) return
  const filled = new FilledStores(backend)
  filled.progress.expect(planned(backend, chosen, settings))
  try {
    for (const name of chosen) {
      for await (const { of, ...result } of ofFilled[name]?.(filled, settings) ?? [])
        show({ name: `${name} ${of}`, ...result })
    }
  } catch (error) {
    sayFailed(backend, error)
  } finally {
    await filled.end()
  }
}

function show(result: { readonly name: string } & Result): void {
  process.stdout.write(values.json ? `${JSON.stringify({ run, ...result })}\n` : `${lines(result)}\n`)
}

function lines({ name, ours, theirs, ratio, unit, note }: { readonly name: string } & Result): string {
  const other =
    theirs === null || ratio === null ? '' : `   theirs ${format(theirs)}   ratio ${ratio.toFixed(2)}`
  return `${name.padEnd(12)} ours ${format(ours)}${other}   ${unit}\n${' '.repeat(13)}${note}`
}

function format(figure: number): string {
  return Math.abs(figure) < 100 ? figure.toPrecision(3) : Math.round(figure).toLocaleString('en')
}
