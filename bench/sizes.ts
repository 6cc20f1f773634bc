/** How many records each benchmark of filled stores needs. */

import type { Backend } from './backends.ts'
import type { Settings } from './measure.ts'

type Scale = Pick<Settings, 'scale'>

/** At least a thousandth, so that trying out still does something. */
export function scaled(count: number, scale: number): number {
  return Math.max(Math.round(count * scale), Math.ceil(count / 1_000), 200)
}

/** The store of which single records are read and saved. */
export function fewSize({ most }: Backend, { scale }: Scale): number {
  return scaled(Math.min(10_000, most / 10), scale)
}

/** The store among whose records one user's are listed, and in which users are compared. */
export function usualSize({ most }: Backend, { scale }: Scale): number {
  return scaled(Math.min(1_000_000, most), scale)
}

/** The sizes that are compared, the smallest first. */
export function growthSizes({ most }: Backend, { scale, large }: Scale & Pick<Settings, 'large'>): number[] {
  const all = [10_000, 100_000, 1_000_000, ...(large ? [10_000_000] : [])]
  const sizes = all.filter((size) => size <= most)
  return [...new Set((sizes.length > 1 ? sizes : [most / 10, most]).map((size) => scaled(size, scale)))]
}

/** How many records the user has who owns very many. */
export function richUser({ most }: Backend, { scale }: Scale): number {
  return scaled(Math.min(100_000, most / 10), scale)
}

/** How many live and how many expired records there are when it is swept. */
export function sweptSizes(scale: number): { readonly live: number; readonly expired: number } {
  return { live: scaled(2_000_000, scale), expired: scaled(1_000_000, scale) }
}

/** How many records are filled in for the benchmarks of these names. */
export function planned(backend: Backend, names: readonly string[], settings: Settings): number {
  const usual = usualSize(backend, settings)
  const sizes = names.includes('store-growth') ? growthSizes(backend, settings) : []
  const stores = [...new Set([...sizes, usual])].reduce((sum, size) => sum + size, 0)
  const rich = names.includes('store-growth') ? richUser(backend, settings) + 1 : 0
  const { live, expired } = sweptSizes(settings.scale)
  const swept = names.includes('sweep') && backend.isSwept ? live - usual + expired : 0
  return stores + rich + swept
}
