import type { Session } from 'holdfast'

declare global {
  namespace App {
    interface Locals {
      /** What it keeps: how many of each fruit are in the basket. */
      session: Session<Record<string, number>>
    }
  }
}

export {}
