import { DatabaseSync } from 'node:sqlite'

/** How many rows of scratch namespaces a file holds. */
export function scratchRows(path: string): number {
  const database = new DatabaseSync(path)
  const [records, labels] = ['holdfast_records', 'holdfast_labels'].map((table) => {
    return (database.prepare(`select count(*) as n from ${table}`).get() as { n: number }).n
  })
  database.close()
  return records! + labels!
}
