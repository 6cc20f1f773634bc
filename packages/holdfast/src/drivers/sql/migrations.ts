/**
 * The tables, as numbered steps. Each runs once; `holdfast_schema` keeps a row for each that has run. A step that was
 * published is never edited: write the next one.
 *
 * Two releases may work on one store at once. Each step says what its `needs` are: the lowest number of steps that a
 * release must know to work on a store that has taken it. A step that only adds (a table, an index, a column with a
 * default) needs no more than the one before; older releases go on and don't notice. A step that breaks them needs its
 * own number, and they refuse to open such a store. They are data, so that they can be applied, or printed for who has
 * the rights to apply them.
 */

import type { Dialect } from './dialect.ts'

/** One step. */
export interface Migration {
  /** From 1, without gaps. */
  readonly number: number
  /** What it does, in a few words. */
  readonly title: string
  /** How many steps a release must know to work on a store that has taken this one. */
  readonly needs: number
  /** Its statements, in the words of one dialect. */
  readonly statements: readonly string[]
}

/** The table that tells which steps have run; made before the first. */
export function schemaTable({ types, ofTable }: Dialect): string {
  return `create table if not exists holdfast_schema (
  step ${types.number} not null,
  needs ${types.number} not null,
  primary key (step)
)${ofTable.fixed}`
}

/** Notes that a step has run. */
export function noted({ number, needs }: Migration): string {
  return `insert into holdfast_schema (step, needs) values (${number}, ${needs})`
}

/** The columns and the key of the table of records; the same in every dialect. */
export function columnsOfRecords(types: Dialect['types']): string {
  return `  namespace ${types.name} not null,
  collection ${types.name} not null,
  id ${types.id} not null,
  version ${types.version} not null,
  labels ${types.text} not null,
  expires_at ${types.instant} not null,
  touched_at ${types.instant} not null,
  bucket ${types.bucket} not null,
  value ${types.bytes} not null,
  primary key (namespace, collection, id)`
}

/** The columns and the key of the finder of labels. */
export function columnsOfLabels(types: Dialect['types']): string {
  return `  namespace ${types.name} not null,
  collection ${types.name} not null,
  label ${types.label} not null,
  id ${types.id} not null,
  primary key (namespace, collection, label, id)`
}

/** The first step where a change of tables can be part of a transaction. `bucket` is the head of the digest of collection/id, for slices. */
export function recordsAndLabels({ types, ofTable, namespaceApart }: Dialect): Migration {
  return {
    number: 1,
    title: 'records, and the finder of their labels',
    needs: 1,
    statements: [
      `create table holdfast_records (
${columnsOfRecords(types)}
)${ofTable.updated}`,
      `create index holdfast_records_by_expiry on holdfast_records (${namespaceApart}, expires_at)`,
      `create index holdfast_records_by_bucket on holdfast_records (${namespaceApart}, bucket)`,
      `create table holdfast_labels (
${columnsOfLabels(types)}
)${ofTable.fixed}`,
    ],
  }
}

/**
 * The steps as a script, for who has the rights that the application lacks.
 *
 * @param after How many steps the store has taken already.
 */
export function script(dialect: Dialect, migrations: readonly Migration[], after = 0): string {
  const first = after === 0 ? [`${schemaTable(dialect)};`] : []
  const steps = migrations
    .slice(after)
    .flatMap((each) => [
      `-- ${each.number}: ${each.title}${each.needs === each.number && each.number > 1 ? ' (stop older releases first)' : ''}`,
      ...each.statements.map((text) => `${text};`),
      `${noted(each)};`,
    ])
  return steps.length === 0 ? '' : `${[...first, ...steps].join('\n')}\n`
}
