/** Ports of this machine, and whether something listens on one. */
import { connect, createServer } from 'node:net'

const taken = new Set<number>()

/** Ports below the range from which the system draws, so that no client's connection takes one meanwhile. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const ports: number[] = []
  while (ports.length < count) {
    const port = 20_000 + Math.floor(Math.random() * 12_000)
    if (taken.has(port)) continue
    taken.add(port)
    if ((await isFree(port)) && (await isFree(port + 10_000))) ports.push(port)
  }
  return ports
}

/** One of them. */
export async function freePort(): Promise<number> {
  const [port] = await freePorts(1)
  return port!
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', () => {
      resolve(false)
    })
    probe.listen(port, '127.0.0.1', () =>
      probe.close(() => {
        resolve(true)
      }),
    )
  })
}

export function canConnect(host: string, port: number): Promise<boolean> {
  return talk(host, port, '', () => true)
}

/** Whether a server that is told `words` at once answers with text that `fits`. */
export function answers(
  host: string,
  port: number,
  words: string,
  fits: (answer: string) => boolean,
): Promise<boolean> {
  return talk(host, port, words, fits)
}

function talk(
  host: string,
  port: number,
  words: string,
  fits: (answer: string) => boolean,
): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 5_000 })
    const settle = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.once('connect', () => {
      if (words === '') settle(true)
      else socket.write(words)
    })
    socket.on('data', (data) => {
      settle(fits(data.toString()))
    })
    socket.once('close', () => {
      settle(false)
    })
    socket.once('error', () => {
      settle(false)
    })
    socket.once('timeout', () => {
      settle(false)
    })
  })
}
