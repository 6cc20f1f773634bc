/**
 * The client that the store makes for itself from a URL, with the settings that we recommend: a server that is away
 * is an error after two seconds, and never a long wait.
 */

import { ClientMissing, StoreMisconfigured, StoreUnavailable } from '../../errors.ts'
import type { TlsOptions } from '../../store/store.ts'
import type { MongodbClient, Source } from './client.ts'
import { neverSent } from './failure.ts'

/** What is used of the package `mongodb`. */
interface Library {
  readonly MongoClient: new (url: string, options: object) => MongodbClient & Life
}

interface Life {
  close(): Promise<void>
}

/** What the URL may set otherwise; milliseconds. */
const recommended = { serverSelectionTimeoutMS: 2_000, connectTimeoutMS: 2_000, appName: 'holdfast' }

/**
 * A client of our own, connected by `connect` and closed by `release`.
 *
 * @param tls Switches TLS on, also where the URL doesn't ask for it.
 */
export function ownSource(url: string, load: () => Promise<unknown>, tls?: TlsOptions): Source {
  const address = parsed(url, tls)
  let held: (MongodbClient & Life) | undefined
  const client = (): MongodbClient => {
    if (!held) throw new StoreUnavailable('MongoDB is not connected')
    return held
  }
  return {
    client,
    database: () => client().db(),
    async connect() {
      held ??= await connected(address, asLibrary(await load()), tls)
    },
    async release() {
      const last = held
      held = undefined
      await last?.close()
    },
  }
}

/** `mongodb:///app` and `mongodb://user:password@/app` are this machine's. Everything else is the client's to judge. */
function parsed(url: string, tls: TlsOptions | undefined): string {
  // The client's own default is a database called "test", which nobody means.
  if (!/^mongodb(\+srv)?:\/\/[^/]*\/[^/?]/.test(url)) {
    throw new StoreMisconfigured('write mongodb://[user:password@]host[:port]/database[?options]')
  }
  if (tls && /[?&](tls|ssl)=false\b/i.test(url)) {
    throw new StoreMisconfigured(
      'the URL switches TLS off, and the option `tls` says how to use it: leave out one',
    )
  }
  return url.replace(/^(mongodb:\/\/(?:[^@/?]*@)?)(?=[/?]|$)/, '$1localhost')
}

async function connected(
  url: string,
  library: Library,
  tls: TlsOptions | undefined,
): Promise<MongodbClient & Life> {
  const client = clientOf(url, library, tls)
  try {
    await client.connect()
    return client
  } catch (error) {
    await client.close().catch(() => undefined)
    throw neverSent(error)
  }
}

function clientOf(url: string, { MongoClient }: Library, tls: TlsOptions | undefined): MongodbClient & Life {
  const said = new Set([...url.matchAll(/[?&]([A-Za-z]+)=/g)].map(([, name = '']) => name.toLowerCase()))
  const options = Object.entries(recommended).filter(([name]) => !said.has(name.toLowerCase()))
  try {
    return new MongoClient(url, { ...Object.fromEntries(options), ...(tls && { tls: true, ...tls }) })
  } catch (error) {
    // Without its cause, which may repeat the URL and with it the password.
    throw new StoreMisconfigured(
      `the URL of this MongoDB store cannot be right: ${withoutSecrets(error, url)}`,
    )
  }
}

/** What the client says about a URL, unless it says too much. */
function withoutSecrets(error: unknown, url: string): string {
  const message = error instanceof Error ? error.message : ''
  const [, login = ''] = /^[a-z+]+:\/\/([^/?]*)@/.exec(url) ?? []
  const secrets = [url, login, ...login.split(':')].filter((secret) => secret !== '')
  const says = secrets.some((secret) => message.includes(secret) || message.includes(decoded(secret)))
  return says || message === '' ? 'percent-encode the user and the password' : message
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function asLibrary(loaded: unknown): Library {
  if (typeof loaded === 'object' && loaded && 'MongoClient' in loaded) return loaded as Library
  throw new ClientMissing('this store needs the package mongodb, version 6.13 or later: npm install mongodb')
}
