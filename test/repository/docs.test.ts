import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import * as holdfast from 'holdfast'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** Every page that is written for people. */
function pages(folder = root): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (entry.name === 'node_modules' || entry.name === 'dist' || entry.name.startsWith('.')) return []
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return pages(path)
    return entry.name.endsWith('.md') ? [path] : []
  })
}

/** The errors that the library exports, by code. */
function errorsByCode(): Map<string, string> {
  const found = new Map<string, string>()
  for (const [name, exported] of Object.entries(holdfast)) {
    if (typeof exported !== 'function' || !(exported.prototype instanceof holdfast.HoldfastError)) continue
    const made: unknown = Reflect.construct(exported, ['message', []])
    assert.ok(made instanceof holdfast.HoldfastError)
    assert.equal(found.has(made.code), false, `${made.code} is the code of two errors`)
    assert.equal(made.name, name)
    found.set(made.code, name)
  }
  return found
}

describe('the documentation', () => {
  it('lists every error, and no error that is not there', () => {
    const page = readFileSync(join(root, 'docs/errors.md'), 'utf8')
    const documented = new Map(
      [...page.matchAll(/^\| `(HOLDFAST_\w+)` +\| `(\w+)` +\|/gm)].map((row) => [row[1]!, row[2]!]),
    )
    assert.deepEqual([...documented].sort(), [...errorsByCode()].sort())
  })

  it('has no link that leads nowhere', () => {
    const broken = pages().flatMap((page) =>
      [...readFileSync(page, 'utf8').matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)[^)]*\)/g)]
        .map((link) => join(dirname(page), decodeURIComponent(link[1]!)))
        .filter((target) => !existsSync(target))
        .map((target) => `${relative(root, page)} → ${relative(root, target)}`),
    )
    assert.deepEqual(broken, [])
  })

  it('has no duration that the library would not take', () => {
    const refused = pages().flatMap((page) =>
      [...readFileSync(page, 'utf8').matchAll(/'(\d[\d.]*[a-zA-Z]+)'/g)]
        .map((match) => match[1]! as holdfast.Duration)
        .filter((text) => {
          try {
            return holdfast.milliseconds(text) < 0
          } catch {
            return true
          }
        })
        .map((text) => `${relative(root, page)}: ${text}`),
    )
    assert.deepEqual(refused, [])
  })

  it('lists every decision', () => {
    const folder = join(root, 'docs/decisions')
    const listed = readFileSync(join(folder, 'README.md'), 'utf8')
    for (const file of readdirSync(folder)) {
      if (file !== 'README.md') assert.ok(listed.includes(`(${file})`), `${file} is not listed`)
    }
  })

  it('defines each word of the glossary once, in order', () => {
    const words = [
      ...readFileSync(join(root, 'docs/glossary.md'), 'utf8').matchAll(/^\| \*\*(.+?)\*\* /gm),
    ].map((row) => row[1]!)
    assert.ok(words.length > 30)
    assert.deepEqual(words, [...new Set(words)].sort())
  })

  it('has every word of the lifecycle’s errors in the list of errors', () => {
    const codes = errorsByCode()
    const used = [...readFileSync(join(root, 'docs/lifecycle.md'), 'utf8').matchAll(/HOLDFAST_\w+/g)].map(
      String,
    )
    assert.deepEqual(
      used.filter((code) => !codes.has(code)),
      [],
    )
  })
})
