/** How requests are checked against their schemas. */

import { TypeBoxValidatorCompiler } from '@fastify/type-provider-typebox'
import type { FastifySchemaCompiler } from 'fastify'
import type { TSchema } from 'typebox'

/**
 * Checks without converting anything, but that a query is all text: where the schema wants a whole number, a text of
 * digits is one. Anything cleverer would take 1.5 for 1.
 */
export const validatorCompiler: FastifySchemaCompiler<TSchema> = (route) => {
  const check = TypeBoxValidatorCompiler({ ...route, httpPart: 'body' })
  if (route.httpPart !== 'querystring') return check
  const { properties = {} } = route.schema as { properties?: Record<string, { type?: string }> }
  const numbers = Object.keys(properties).filter((name) => properties[name]?.type === 'integer')
  return (query: Record<string, unknown>) => check(withNumbers(query, numbers))
}

function withNumbers(query: Record<string, unknown>, names: readonly string[]): Record<string, unknown> {
  const read = { ...query }
  for (const name of names) {
    const text = read[name]
    if (typeof text === 'string' && /^\d{1,9}$/.test(text)) read[name] = Number(text)
  }
  return read
}

/** Says which field is wrong and how, without its value. */
export function complaint(
  errors: readonly {
    readonly instancePath: string
    readonly message?: string
    readonly params?: Readonly<Record<string, unknown>>
  }[],
  part: string,
): Error {
  const unknown = errors.flatMap(
    ({ params }) => (params?.['additionalProperties'] as string[] | undefined) ?? [],
  )
  if (unknown.length > 0) {
    return new Error(
      `unknown in the ${part}: ${unknown.map((name) => JSON.stringify(name.slice(0, 40))).join(', ')}`,
    )
  }
  const [first] = errors
  return new Error(`${part}${(first?.instancePath ?? '').slice(0, 80)} ${first?.message ?? 'is malformed'}`)
}
