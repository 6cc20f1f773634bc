/**
 * The service: one Fastify instance over one store.
 *
 * The life of a request: refused while stopping → who is calling → body read → checked against the route's schema →
 * the route translates and calls one method of the library → the answer is written by its schema → one log line.
 */

import formBody from '@fastify/formbody'
import swagger from '@fastify/swagger'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import fastify, { type FastifyRequest, LogController } from 'fastify'
import { type RecordEvent, Sessions, type Store, Tokens } from 'holdfast'
import type { Settings } from '../configuration/settings.ts'
import type { Installation } from '../installation/installation.ts'
import { version } from '../version.ts'
import { answerError, answerUnreadable } from './answers.ts'
import type { App, Context, SessionData } from './app.ts'
import { Callers } from './callers.ts'
import { Health } from './health.ts'
import { LoginTexts } from './login-text.ts'
import { otherMethodsOf } from './other-methods.ts'
import { RequestRefused } from './refusals.ts'
import { oauthRoutes } from './routes/oauth.ts'
import { operationRoutes } from './routes/operation.ts'
import { sessionListingRoutes } from './routes/session-listing.ts'
import { sessionRoutes } from './routes/sessions.ts'
import { tokenRoutes } from './routes/tokens.ts'
import { complaint, validatorCompiler } from './validation.ts'

/** What a service is made of. */
export interface ServiceParts {
  readonly store: Store
  readonly settings: Pick<
    Settings,
    'namespace' | 'bodyLimit' | 'sessionIdle' | 'sessionAbsolute' | 'logLevel'
  >
  readonly installation: Installation
  /** Where log lines go, one JSON object each. @default standard error */
  readonly logTo?: { write(line: string): void }
}

/** A service that is ready to listen, or to be called in tests. */
export interface Service {
  readonly app: App
  readonly health: Health
}

/** How long a client may take to send its request, in milliseconds. */
const requestTimeout = 30_000

/** Makes the service. It owns nothing: the store is closed by whoever opened it. */
export async function createService(parts: ServiceParts): Promise<Service> {
  const app = bareApp(parts)
  const context = contextOf(parts, app)
  const callers = new Callers(parts.installation.root, context.tokens)
  addHooks(app, callers, context.health)
  await app.register(swagger, { openapi: description(), convertConstToEnum: false })
  const otherMethods = otherMethodsOf(app)
  await app.register(async (json: App) => {
    json.removeContentTypeParser('text/plain')
    tokenRoutes(json, context)
    sessionRoutes(json, context)
    sessionListingRoutes(json, context)
    operationRoutes(json, context)
  })
  await app.register(async (form: App) => {
    form.removeAllContentTypeParsers()
    await form.register(formBody, { bodyLimit: parts.settings.bodyLimit })
    oauthRoutes(form, context)
  })
  await app.register(otherMethods)
  await app.ready()
  return { app, health: context.health }
}

function bareApp({ settings, logTo = process.stderr }: ServiceParts): App {
  const app = fastify({
    bodyLimit: settings.bodyLimit,
    requestTimeout,
    return503OnClosing: false,
    routerOptions: { maxParamLength: 1024 },
    clientErrorHandler: answerUnreadable,
    frameworkErrors: (error, request, reply) => void answerError(error, request, reply),
    // One line of our own per request instead: theirs have the whole URL.
    logController: new LogController({ disableRequestLogging: true }),
    logger: {
      level: settings.logLevel,
      stream: logTo,
      // Nothing logs headers or bodies on purpose; this is for what is logged by accident.
      redact: ['req.headers', 'req.body', '*.authorization', '*.cookie', '*.credential', '*.secret'],
    },
  }).withTypeProvider<TypeBoxTypeProvider>()
  app.setValidatorCompiler(validatorCompiler)
  app.setSchemaErrorFormatter(complaint)
  app.setErrorHandler(answerError)
  app.setNotFoundHandler(() => {
    throw new RequestRefused(
      'HOLDFAST_ROUTE_NOT_FOUND',
      'there is no such route; /openapi.json describes them all',
    )
  })
  return app
}

function contextOf({ store, settings, installation }: ServiceParts, app: App): Context {
  const { sessionIdle, sessionAbsolute, namespace } = settings
  const onEvent = (event: RecordEvent) => {
    const { type, ...told } = event
    const fields = { event: type, ...told, ...('cause' in event ? { err: event.cause } : {}) }
    if (type === 'loaded') app.log.debug(fields, 'session event')
    else if (isHappening(type)) app.log.info(fields, 'session event')
    else app.log.warn(fields, 'security event')
  }
  return {
    store,
    sessions: new Sessions<SessionData>(store, { idle: sessionIdle, absolute: sessionAbsolute, onEvent }),
    tokens: new Tokens(store, { onEvent }),
    logins: new LoginTexts(installation.ring, namespace),
    health: new Health(store),
  }
}

function addHooks(app: App, callers: Callers, health: Health): void {
  app.decorateRequest('caller', undefined)
  app.addHook('onRequest', async (request, reply) => {
    // Answers hold credentials and what is true at this moment only.
    reply.header('cache-control', 'no-store')
    const { needs = 'manage' } = request.routeOptions.config
    if (needs === 'nothing' || request.is404) return
    if (health.isStopping) throw new RequestRefused('HOLDFAST_SHUTTING_DOWN', 'the service is stopping')
    request.caller = await callers.identify(request, needs)
  })
  app.addHook('onSend', async (_request, reply) => {
    // Also for requests that were under way: the connection would stay open for another that must not come.
    if (health.isStopping) reply.header('connection', 'close')
  })
  app.addHook('onResponse', async (request, reply) => {
    request.log.info(
      {
        method: request.method,
        // The pattern, not the URL: whatever somebody puts into a URL stays out of the log.
        route: request.routeOptions.url ?? null,
        status: reply.statusCode,
        ms: Math.round(reply.elapsedTime * 10) / 10,
        caller: callerOf(request),
      },
      'answered',
    )
  })
}

function callerOf(request: FastifyRequest): string | null {
  return request.caller?.name ?? null
}

function description() {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Holdfast',
      version,
      description: 'Sessions and tokens. What was revoked or ended is never valid again.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    tags: [
      { name: 'tokens', description: 'API tokens' },
      { name: 'oauth', description: 'RFC 7662 and RFC 7009' },
      { name: 'sessions', description: 'Web sessions, for applications in any language' },
      { name: 'operation', description: 'The service itself' },
    ],
    components: {
      securitySchemes: {
        bearer: {
          type: 'http' as const,
          scheme: 'bearer',
          description:
            'The root credential, or a token with the scope holdfast:manage (or holdfast:introspect).',
        },
      },
    },
    security: [{ bearer: [] }],
  }
}

/** What is as it should be, and only for an audit. */
function isHappening(type: RecordEvent['type']): boolean {
  return ['created', 'login', 'rotated', 'revoked', 'revoked-all', 'expired'].includes(type)
}
