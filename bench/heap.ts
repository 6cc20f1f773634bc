/** The memory of a process that was started with `--expose-gc`. */

/** What is left when nothing more can be collected. What is outside of the heap includes the bytes of buffers. */
export async function bytesInUse(): Promise<number> {
  if (!globalThis.gc) throw new Error('start this process with --expose-gc')
  for (let i = 0; i < 4; i++) {
    globalThis.gc()
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
