/** Many small commands at once, but not all of them: each lane sends its next one when the last is answered. */

const width = 16

/** What was answered, in the order of the request, and the first failure, after which nothing more was sent. */
export interface Answered<R> {
  readonly answers: readonly (R | undefined)[]
  readonly failed?: Error
}

export async function inLanes<T, R>(all: readonly T[], run: (each: T) => Promise<R>): Promise<Answered<R>> {
  const answers = new Array<R | undefined>(all.length).fill(undefined)
  const failures: Error[] = []
  const waiting = all.entries()
  const lane = async (): Promise<void> => {
    // One iterator for all lanes: whoever is free takes the next.
    for (const [i, each] of waiting) {
      if (failures.length > 0) return
      try {
        answers[i] = await run(each)
      } catch (error) {
        failures.push(error instanceof Error ? error : new Error(String(error)))
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(width, all.length) }, lane))
  const [failed] = failures
  return failed ? { answers, failed } : { answers }
}
