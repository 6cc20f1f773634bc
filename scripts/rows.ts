/** `npm run rows`: writes `docs/behaviours.md` out of the titles of the tests. */
import { writeFile } from 'node:fs/promises'
import { pagePath, readCoverage, renderPage, unknownRows } from './behaviours.ts'

const coverage = await readCoverage()
for (const row of unknownRows(coverage)) {
  console.error(`${row} is no row: ${(coverage.get(row) ?? []).join(', ')}`)
  process.exitCode = 1
}
await writeFile(pagePath, renderPage(coverage))
