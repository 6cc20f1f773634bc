/**
 * What a script started is undone when the script ends, however it ends: at its last line, by an error, or by a
 * signal. Steps run once, the last one registered first.
 */
const steps: (() => void | Promise<void>)[] = []
let tidying: Promise<void> | undefined

const signals = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const

/**
 * Registers what has to be undone. From the first call on, signals, uncaught errors and the death of the parent undo
 * it too.
 */
export function atEnd(step: () => void | Promise<void>): void {
  if (steps.length === 0) handleEarlyEnds()
  steps.push(step)
}

/** Undoes everything that was registered. Further calls wait for the first one. */
export function tidyUp(): Promise<void> {
  tidying ??= undoAll()
  return tidying
}

async function undoAll(): Promise<void> {
  for (const step of steps.reverse()) {
    try {
      await step()
    } catch (error) {
      console.error('Could not tidy up:', error)
    }
  }
}

function handleEarlyEnds(): void {
  for (const [signal, code] of Object.entries(signals)) {
    // Ctrl-C may come twice, from the terminal and from npm: the second one must not cut the tidying short.
    process.on(signal, () => void end(code))
  }
  // A signal that reaches npm only never reaches this process, but it leaves it without its parent.
  const parent = process.ppid
  setInterval(() => {
    if (process.ppid !== parent) void end(1)
  }, 500).unref()
  process.on('uncaughtException', (error) => {
    console.error(error)
    void end(1)
  })
}

async function end(code: number): Promise<void> {
  await tidyUp()
  process.exit(code)
}
