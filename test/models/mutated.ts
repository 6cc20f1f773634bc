/**
 * Loaded by `node --import` before a test: changes lines of the sources while they are loaded. Which ones is told by
 * HOLDFAST_MUTATION, the name of one of the mutations. The files on disk are left alone.
 */

import { registerHooks } from 'node:module'
import { mutations, sourceFolder } from './mutations.ts'

const name = process.env['HOLDFAST_MUTATION']
const mutation = mutations.find((each) => each.name === name)
if (!mutation) throw new Error(`there is no mutation ${JSON.stringify(name)}`)

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context)
    const edits = mutation.edits.filter(({ file }) => url === new URL(file, sourceFolder).href)
    if (edits.length === 0) return loaded
    let source = Buffer.from(loaded.source as Uint8Array).toString()
    for (const { from, to } of edits) {
      if (source.split(from).length !== 2)
        throw new Error(`${url} does not hold once what ${name} takes away`)
      source = source.replace(from, () => to)
    }
    return { ...loaded, source }
  },
})
