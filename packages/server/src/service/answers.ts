/** How refusals are written: one shape everywhere, and the one of RFC 6749 on the OAuth endpoints. */

import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { challenge } from './callers.ts'
import { type Refusal, refusalOf } from './refusals.ts'

/** Answers whatever was thrown. Failures go into the log with their cause; the answer has only the code. */
export async function answerError(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<void> {
  const refusal = refusalOf(error)
  if (refusal.isFailure && refusal.code !== 'HOLDFAST_SHUTTING_DOWN') {
    request.log.error({ err: error, code: refusal.code }, 'a request failed')
  }
  reply.code(refusal.status).headers(refusal.headers)
  if (refusal.status === 401 || refusal.status === 403) {
    reply.header('www-authenticate', challenge(request, refusal.status))
  }
  if (request.routeOptions.config.oauth) {
    await reply.send(oauthBody(refusal))
  } else {
    await reply.send(body(refusal))
  }
}

function body({ code, message }: Pick<Refusal, 'code' | 'message'>) {
  return { error: { code, message } }
}

function oauthBody({ status, code, message }: Refusal) {
  return { error: oauthError(status), error_description: message, code }
}

function oauthError(status: number): string {
  if (status === 401) return 'invalid_client'
  if (status === 403) return 'insufficient_scope'
  if (status === 503) return 'temporarily_unavailable'
  return status >= 500 ? 'server_error' : 'invalid_request'
}

const clientFaults: Readonly<Record<string, number>> = {
  HPE_HEADER_OVERFLOW: 431,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
}

/** Answers what is not even HTTP, in the same shape. */
export function answerUnreadable(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const status = clientFaults[error.code ?? ''] ?? 400
  const message = 'the request is not readable HTTP, too slow, or its headers are too long'
  const text = JSON.stringify(body({ code: 'HOLDFAST_INVALID_REQUEST', message }))
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\nContent-Length: ${text.length}\r\n` +
      `Content-Type: application/json\r\nConnection: close\r\n\r\n${text}`,
  )
}
