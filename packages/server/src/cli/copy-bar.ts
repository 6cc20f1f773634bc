/** How far a copy is, and how long it still takes: for a terminal. */

import cliProgress from 'cli-progress'
import type { TransferProgress } from 'holdfast'
import type { Terminal } from './terminal.ts'

export class CopyBar {
  readonly #bar: cliProgress.SingleBar
  #phase: string | undefined

  constructor(terminal: Terminal) {
    this.#bar = new cliProgress.SingleBar({
      format: '{phase} [{bar}] {value} of about {total} records, {eta_formatted} left',
      stream: terminal.errors,
      etaBuffer: 200,
      clearOnComplete: true,
      hideCursor: true,
    })
  }

  show({ phase, records, estimate = records }: TransferProgress): void {
    if (phase !== this.#phase) {
      this.#bar.stop()
      this.#bar.start(estimate, records, { phase })
      this.#phase = phase
      return
    }
    this.#bar.setTotal(estimate)
    this.#bar.update(records)
  }

  stop(): void {
    this.#bar.stop()
  }
}
