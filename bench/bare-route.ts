/** The other side of `introspect`: a bare Fastify route. Prints its address. */

import formbody from '@fastify/formbody'
import Fastify from 'fastify'

const length = Number(process.argv[2])
const app = Fastify()
await app.register(formbody)
const frame = JSON.stringify({ active: true, filling: '' }).length
const filling = 'x'.repeat(Math.max(0, length - frame))

app.post<{ Body: { token: string } }>('/introspect', (request) => ({
  active: request.body.token.length > 0,
  filling,
}))

process.stdout.write(`${await app.listen({ host: '127.0.0.1', port: 0 })}\n`)
process.once('SIGTERM', () => {
  void app.close()
})
