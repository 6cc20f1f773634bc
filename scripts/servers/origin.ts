/** Where a server can be had: on this machine, in Docker, built here, or, as root on Debian, from its packages. */
import { execFile } from 'node:child_process'
import { access, constants, glob } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import type { Recipe, ServerKind } from './kind.ts'

const execute = promisify(execFile)

/** How a recipe is followed here. */
export interface Origin {
  readonly recipe: Recipe
  /** The folder of its programs, or nothing when they run in a container. */
  readonly folder: string | undefined
}

/** Installs, in one call, what `kinds` need and this machine doesn't have, where that can be done. */
export async function installMissing(kinds: readonly ServerKind[]): Promise<void> {
  const found = await Promise.all(kinds.map(hasOne))
  const packages = kinds
    .filter((_, i) => found[i] === false)
    .flatMap(({ recipes }) => recipes.flatMap(({ debianPackage }) => debianPackage ?? []))
  if (packages.length === 0 || !(await canInstall())) return
  const names = [...new Set(packages)]
  console.log(`Installing ${names.join(', ')} with apt-get ...`)
  await succeeds('apt-get', ['update'])
  await succeeds('apt-get', ['install', '-y', '--no-install-recommends', ...names])
}

async function hasOne({ recipes }: ServerKind): Promise<boolean> {
  for (const recipe of recipes) if (await find(recipe)) return true
  return false
}

/** The first way to have a server of this kind that works here. Throws with the reason when there is none. */
export async function findOrigin(kind: ServerKind): Promise<Origin> {
  const reasons: string[] = []
  for (const recipe of kind.recipes) {
    const origin = await find(recipe)
    if (origin) return origin
    reasons.push(await whyNot(recipe))
    if (!recipe.build) continue
    try {
      return { recipe, folder: await recipe.build() }
    } catch (error) {
      reasons.push(error instanceof Error ? error.message : String(error))
    }
  }
  throw new Error(reasons.join('; '))
}

async function find(recipe: Recipe): Promise<Origin | undefined> {
  const folder = await folderOf(recipe.program, recipe.folders)
  if (folder !== undefined) return { recipe, folder }
  return recipe.image !== undefined && (await dockerAnswers()) ? { recipe, folder: undefined } : undefined
}

async function whyNot({ program, image, debianPackage }: Recipe): Promise<string> {
  const reasons = [`${program} is not on the PATH`]
  if (image !== undefined) reasons.push('Docker does not answer')
  if (debianPackage !== undefined && (await canInstall())) {
    reasons.push(`apt-get could not install ${debianPackage}`)
  }
  return reasons.join(', ')
}

/** The folder that has the program: one of the PATH, or else the newest of those that match. */
export async function folderOf(
  program: string,
  patterns: readonly string[] = [],
): Promise<string | undefined> {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    if (await isProgram(join(folder, program))) return folder
  }
  const others: string[] = []
  for (const pattern of patterns) for await (const folder of glob(pattern)) others.push(folder)
  others.sort((a, b) => b.localeCompare(a, 'en', { numeric: true }))
  for (const folder of others) if (await isProgram(join(folder, program))) return folder
  return undefined
}

async function isProgram(path: string): Promise<boolean> {
  return await access(path, constants.X_OK).then(
    () => true,
    () => false,
  )
}

let docker: Promise<boolean> | undefined

function dockerAnswers(): Promise<boolean> {
  docker ??= succeeds('docker', ['info'])
  return docker
}

async function canInstall(): Promise<boolean> {
  return process.getuid?.() === 0 && (await folderOf('apt-get')) !== undefined
}

async function succeeds(program: string, args: readonly string[]): Promise<boolean> {
  try {
    await execute(program, [...args], { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } })
    return true
  } catch {
    return false
  }
}
