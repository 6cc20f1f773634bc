/** What the launcher has to know about a kind of server. */
import type { Place } from './place.ts'

/** One kind of server that tests use. */
export interface ServerKind {
  readonly name: string
  /** The environment variable by which tests learn its address, and by which a user may give one. */
  readonly variable: string
  /** Where an address without a port leads. */
  readonly defaultPort?: number
  /** Whether what a user gave is of use; rejects where it isn't. Not given: each of its hosts must answer. */
  readonly check?: (given: string) => Promise<void>
  /** Ways to get it, the best first. None: it is never started, only an address of one can be given. */
  readonly recipes: readonly Recipe[]
}

/** One way to get a server. */
export interface Recipe {
  readonly program: string
  /** Folders besides the PATH where the program may be, as glob patterns: the last one in natural order is taken. */
  readonly folders?: readonly string[]
  readonly image?: string
  readonly debianPackage?: string
  /** Makes the program where there is no other way to it, and gives the folder in which it is. */
  readonly build?: () => Promise<string>
  /** How many ports it listens on. Each has the port 10,000 above it free as well. */
  readonly ports: number
  /** Starts it and resolves with its address once it is ready for use. */
  readonly start: (place: Place, ports: readonly number[]) => Promise<string>
}
