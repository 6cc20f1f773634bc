import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { statuses } from '../../packages/server/src/service/refusals.ts'
import { InProcess } from './in-process.ts'

interface Operation {
  readonly operationId?: string
  readonly summary?: string
  readonly tags?: readonly string[]
  readonly security?: readonly unknown[]
  readonly parameters?: readonly {
    readonly name: string
    readonly in: string
    readonly required?: boolean
    readonly schema: object
  }[]
  readonly requestBody?: { readonly content: Record<string, { readonly schema: object }> }
  readonly responses: Record<
    string,
    { readonly description: string; readonly content?: Record<string, { readonly schema: Schema }> }
  >
}

interface Schema {
  readonly type?: string
  readonly properties?: Record<string, Schema>
}

interface Description {
  readonly openapi: string
  readonly info: { readonly title: string; readonly version: string }
  readonly tags: readonly { readonly name: string }[]
  readonly paths: Record<string, Record<string, Operation>>
  readonly components: { readonly securitySchemes: object }
}

describe('the description of the API', () => {
  let service: InProcess
  let described: Description
  const operations: (readonly [string, Operation])[] = []
  before(async () => {
    service = await new InProcess().start()
    described = (await service.expect(200, 'GET', '/openapi.json', undefined, {
      as: null,
    })) as unknown as Description
    for (const [path, methods] of Object.entries(described.paths)) {
      for (const [method, operation] of Object.entries(methods))
        operations.push([`${method.toUpperCase()} ${path}`, operation])
    }
  })

  it('is OpenAPI 3.1', () => {
    assert.equal(described.openapi, '3.1.0')
    assert.equal(described.info.title, 'Holdfast')
    assert.match(described.info.version, /^\d+\.\d+\.\d+/)
    assert.deepEqual(Object.keys(described.components.securitySchemes), ['bearer'])
  })

  it('has every route of the service, and no other', async () => {
    const documented = operations.map(([name]) => name).sort()
    const found = (await allRoutes(service)).sort()
    assert.deepEqual(documented, found)
  })

  it('gives each operation an id of its own, a summary, a known tag and its answers', () => {
    const ids = new Set<string>()
    const tags = described.tags.map(({ name }) => name)
    for (const [name, { operationId, summary, tags: own, responses, security }] of operations) {
      assert.ok(operationId && !ids.has(operationId), name)
      ids.add(operationId)
      assert.ok(summary && summary.length > 10, name)
      assert.ok(own?.length === 1 && tags.includes(own[0]!), name)
      assert.ok(
        Object.keys(responses).some((status) => status.startsWith('2')),
        name,
      )
      const open = ['/healthz', '/readyz', '/openapi.json'].includes(name.split(' ')[1]!)
      if (!open)
        for (const status of ['400', '401', '403', '500', '503'])
          assert.ok(status in responses, `${name} ${status}`)
      assert.deepEqual(security, open ? [] : undefined, name)
      for (const [status, { description }] of Object.entries(responses))
        assert.ok(description.length > 1, `${name} ${status}`)
    }
  })

  it('names only codes that exist, each under its status', () => {
    for (const [name, { responses }] of operations) {
      for (const [status, { description }] of Object.entries(responses)) {
        for (const code of description.match(/HOLDFAST_[A-Z_]+/g) ?? []) {
          assert.equal(statuses[code as keyof typeof statuses], Number(status), `${name} ${code}`)
        }
      }
    }
  })

  it('describes parameters, bodies and error answers', () => {
    for (const [name, { parameters = [], requestBody, responses }] of operations) {
      const inPath = [...name.matchAll(/\{(\w+)\}/g)].map(([, parameter]) => parameter)
      assert.deepEqual(
        parameters.filter((each) => each.in === 'path').map((each) => each.name),
        inPath,
        name,
      )
      for (const each of parameters) assert.ok(Object.keys(each.schema).length > 0, `${name} ${each.name}`)
      if (/^(POST|PATCH)/.test(name)) assert.ok(requestBody, name)
      const type =
        /introspect|revoke$/.test(name) && name.split('/').length === 3
          ? 'application/x-www-form-urlencoded'
          : 'application/json'
      if (requestBody) assert.deepEqual(Object.keys(requestBody.content), [type], name)
      const shape = responses['401']?.content?.['application/json']?.schema.properties
      if (shape) assert.ok('error' in shape, name)
    }
  })

  it('has no reference that leads nowhere', () => {
    const text = JSON.stringify(described)
    assert.equal(text.includes('"$ref"'), false)
  })
})

/** Every route of the service: what is answered by 405 is none. */
async function allRoutes(service: InProcess): Promise<string[]> {
  const urls = urlsIn(service.app.printRoutes({ commonPrefix: false }))
  assert.ok(urls.length > 15)
  const found: string[] = []
  for (const url of urls) {
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']) {
      const { status } = await service.call(method, url, undefined, { as: null })
      if (status !== 405) found.push(`${method} ${url.replace(':id', '{id}')}`)
    }
  }
  return found
}

/** The URLs of the tree that Fastify prints: four columns deeper is one segment further. */
function urlsIn(tree: string): string[] {
  const above: string[] = []
  return tree.split('\n').flatMap((line) => {
    const [, indent, segment] = /^([│├└─\s]*)(\/\S*) \(/.exec(line) ?? []
    if (indent === undefined || segment === undefined) return []
    const depth = indent.length / 4
    above[depth] = (depth > 1 ? above[depth - 1]! : '') + segment
    return [above[depth]]
  })
}
