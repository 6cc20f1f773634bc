/** How responses are sent that come with a session, as scenarios. */

import { Readable } from 'node:stream'
import type { Response } from 'express'
import { type Scenario, values } from './playing.ts'

/** As some middleware do. */
function patch(res: Response): void {
  for (const name of ['write', 'end'] as const) {
    const method = Reflect.get(res, name) as () => unknown
    Object.assign(res, { [name]: (...given: []): unknown => Reflect.apply(method, res, given) })
  }
}

/** How responses are sent: at once, in pieces, with headers of several kinds. */
export const ofResponses: readonly Scenario[] = [
  { name: 'a redirect', steps: ['/redirect', '/show'] },
  {
    name: 'pieces',
    app: (app) => {
      app.get('/pieces', (req, res) => {
        values(req)['a'] = 1
        res.write('one ')
        res.write(Buffer.from('two '))
        res.end('three')
      })
    },
    steps: ['/pieces', '/show'],
  },
  {
    name: 'pieces, after the session was unset',
    options: { unset: 'destroy' },
    app: (app) => {
      app.get('/gone', (req, res) => {
        ;(req as unknown as Record<string, unknown>)['session'] = null
        res.write('one ')
        res.end('two')
      })
    },
    steps: ['/set?a=1', '/gone', '/show'],
  },
  {
    name: 'an end without anything',
    app: (app) => {
      app.get('/end', (req, res) => {
        values(req)['a'] = 1
        res.end(null)
      })
    },
    steps: ['/end', '/show'],
  },
  {
    name: 'methods that others have put onto the response, before and after',
    first: (app) => {
      app.use((_req, res, next) => {
        patch(res)
        next()
      })
    },
    app: (app) => {
      app.get('/patched', (req, res) => {
        patch(res)
        values(req)['a'] = 1
        res.write('one ')
        res.end('two')
      })
    },
    steps: ['/patched', '/show'],
  },
  {
    name: 'a stream',
    app: (app) => {
      app.get('/stream', (req, res) => {
        values(req)['a'] = 1
        Readable.from(['x'.repeat(70_000), 'y'.repeat(70_000), 'z']).pipe(res)
      })
    },
    steps: ['/stream', '/show'],
  },
  {
    name: 'a change while it streams',
    app: (app) => {
      app.get('/slow', (req, res) => {
        values(req)['a'] = 1
        res.write('one ')
        setTimeout(() => {
          values(req)['b'] = 2
          res.end('two')
        }, 10)
      })
    },
    steps: ['/slow', '/show'],
    differs: 'what was there before the first piece is stored before it is sent',
  },
  {
    name: 'flushHeaders',
    app: (app) => {
      app.get('/flush', (req, res) => {
        values(req)['a'] = 1
        res.flushHeaders()
        setImmediate(() => res.end('flushed'))
      })
    },
    steps: ['/flush', '/show'],
  },
  {
    name: 'writeHead with cookies of its own, as object',
    app: (app) => {
      app.get('/head', (req, res) => {
        values(req)['a'] = 1
        res.writeHead(201, { 'Set-Cookie': ['one=1', 'two=2'], 'X-More': 'more' }).end('head')
      })
    },
    steps: ['/head', '/show'],
  },
  {
    name: 'writeHead with a cookie of its own, as list',
    app: (app) => {
      app.get('/head', (req, res) => {
        values(req)['a'] = 1
        res.writeHead(201, 'Made', ['Set-Cookie', 'one=1', 'X-More', 'more']).end('head')
      })
    },
    steps: ['/head', '/show'],
  },
  {
    name: 'writeHead with pairs, after other headers',
    app: (app) => {
      app.get('/pairs', (_req, res) => {
        res.setHeader('X-One', '1')
        res.writeHead(202, [['X-More', 'more'] as never, ['Set-Cookie', 'one=1'] as never]).end('pairs')
      })
    },
    steps: ['/pairs', '/set?a=1', '/pairs'],
  },
  {
    name: 'a cookie beside the session’s',
    app: (app) => {
      app.get('/cookies', (req, res) => {
        values(req)['a'] = 1
        res.cookie('one', '1').cookie('two', '2').send('cookies')
      })
    },
    steps: ['/cookies', '/show'],
  },
  {
    name: 'no content',
    app: (app) => {
      app.get('/none', (req, res) => {
        values(req)['a'] = 1
        res.status(204).end()
      })
    },
    steps: ['/none', '/show'],
  },
  {
    name: 'end twice',
    app: (app) => {
      app.get('/twice', (req, res) => {
        values(req)['a'] = 1
        res.end('once')
        res.end('twice')
      })
    },
    steps: ['/twice', '/show'],
  },
  {
    name: 'headersSent after end, and a header too late',
    app: (app) => {
      app.get('/late', (req, res) => {
        values(req)['a'] = 1
        res.end('sent')
        const sent = res.headersSent
        let code: unknown
        try {
          res.setHeader('x-late', '1')
        } catch (error) {
          code = (error as { code?: unknown }).code
        }
        Object.assign(app.locals, { seen: [sent, code] })
      })
      app.get('/seen', (_req, res) => void res.json(app.locals['seen']))
    },
    steps: ['/late', '/seen'],
  },
  {
    name: 'Content-Length',
    app: (app) => {
      app.get('/length', (req, res) => {
        values(req)['a'] = 1
        res.setHeader('Content-Length', 6)
        res.end('length')
      })
    },
    steps: ['/length', '/show'],
  },
  {
    name: 'a body in another encoding',
    app: (app) => {
      app.get('/encoded', (req, res) => {
        values(req)['a'] = 1
        res.end('68656c6c6f', 'hex')
      })
    },
    steps: ['/encoded', '/show'],
  },
  {
    name: 'the callbacks of write and end',
    app: (app) => {
      app.get('/called', (req, res) => {
        values(req)['a'] = 1
        res.write('a', () => res.end('b', () => Object.assign(app.locals, { called: true })))
      })
      app.get('/seen', (_req, res) => void res.json(app.locals['called']))
    },
    steps: ['/called', '/seen'],
    stores: ['memory'],
  },
  {
    name: 'an error of the application',
    app: (app) => {
      app.get('/error', (req) => {
        values(req)['a'] = 1
        throw new Error('oh')
      })
    },
    steps: ['/error', '/show'],
  },
  {
    name: 'no path at all',
    first: (app) => {
      app.use((req, _res, next) => {
        if (req.url === '/empty') req.originalUrl = ''
        next()
      })
    },
    app: (app) => {
      app.get('/empty', (req, res) => {
        values(req)['a'] = 1
        res.send('empty')
      })
    },
    steps: ['/empty', '/show'],
  },
  {
    name: 'a file',
    app: (app) => {
      app.get('/file', (req, res) => {
        values(req)['a'] = 1
        res.sendFile('LICENSE', { root: '.', lastModified: false, cacheControl: false })
      })
    },
    steps: ['/file', '/show'],
  },
]
