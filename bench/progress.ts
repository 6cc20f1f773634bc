/** How far the filling of stores has come, on standard error: records, the rate, and the time that is left. */

const every = 5_000

export class Progress {
  readonly #name: string
  #total = 0
  #done = 0
  #busyMs = 0
  #began: number | undefined
  #said = 0

  constructor(name: string) {
    this.#name = name
  }

  /** Says that so many more records are going to be filled in. */
  expect(count: number): void {
    this.#total += count
  }

  /** Filling goes on. */
  start(): void {
    this.#began = performance.now()
    this.#said = this.#began
  }

  filled(count: number): void {
    this.#done += count
    if (performance.now() - this.#said >= every) this.#say()
  }

  /** Filling pauses: something is measured. */
  stop(): void {
    this.#say()
    this.#busyMs += performance.now() - (this.#began ?? 0)
    this.#began = undefined
  }

  #say(): void {
    const now = performance.now()
    this.#said = now
    const seconds = (this.#busyMs + now - (this.#began ?? now)) / 1_000
    const rate = this.#done / seconds
    const left = Math.ceil(Math.max(0, this.#total - this.#done) / rate)
    const figure = (count: number): string => Math.round(count).toLocaleString('en')
    process.stderr.write(
      `${this.#name}: filled ${figure(this.#done)} of ${figure(this.#total)} records, ${figure(rate)}/s, ${left} s of filling left\n`,
    )
  }
}
