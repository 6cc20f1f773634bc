/** Warnings about what express-session has deprecated too. */

/** Warns of it. Each text once per process, as a `DeprecationWarning` of Node.js. */
export function deprecate(text: string): void {
  if (warned.has(text)) return
  warned.add(text)
  process.emitWarning(`holdfast/express: ${text}`, 'DeprecationWarning')
}

const warned = new Set<string>()
