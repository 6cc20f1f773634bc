/** What a test undoes at its end, the latest first. Not `using`, which the oldest supported Node.js doesn't know. */

/** A test, as far as it is needed here. */
export interface Ending {
  after(run: () => Promise<void>): void
}

const stacks = new WeakMap<Ending, (() => Promise<void> | void)[]>()

/** Has something undone when the test ends, however it ends. */
export function atEnd(test: Ending, undo: () => Promise<void> | void): void {
  const known = stacks.get(test)
  if (known) {
    known.push(undo)
    return
  }
  const stack = [undo]
  stacks.set(test, stack)
  test.after(async () => {
    for (const each of stack.reverse()) await each()
  })
}
