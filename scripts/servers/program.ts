/** Programs that tests start themselves: all that is told of one is where it is. */
import { execFile } from 'node:child_process'
import { access, constants, mkdir, rename, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Recipe, ServerKind } from './kind.ts'
import { folderOf } from './origin.ts'

const execute = promisify(execFile)

/** A program that a user may give by its path. */
export function programKind(name: string, recipes: readonly Omit<Recipe, 'start' | 'ports'>[]): ServerKind {
  const variable = `HOLDFAST_TEST_${name.toUpperCase()}`
  return {
    name,
    variable,
    async check(path) {
      await access(path, constants.X_OK).catch((cause: unknown) => {
        throw new Error(`${variable} says ${path}, but there is no program`, { cause })
      })
    },
    recipes: recipes.map((recipe) => ({
      ...recipe,
      ports: 0,
      start: async () => join((await folderOf(recipe.program, recipe.folders)) ?? '', recipe.program),
    })),
  }
}

/** A program that npm has: of this machine, or else installed into the user's cache, once for this machine. */
export function fromNpm(program: string, version: string): Omit<Recipe, 'start' | 'ports'> {
  const folder = join(
    process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'),
    'holdfast',
    `${program}-${version}`,
  )
  const programs = join(folder, 'node_modules/.bin')
  return {
    program,
    folders: [programs],
    async build() {
      console.log(`Installing ${program} ${version} ...`)
      const half = `${folder}-${process.pid}`
      await mkdir(half, { recursive: true })
      try {
        const options = ['--no-audit', '--no-fund', '--no-save', '--prefix', half]
        await execute('npm', ['install', ...options, `${program}@${version}`], { cwd: half })
        // Moved into place as a whole: another run may be installing it.
        await rename(half, folder)
      } finally {
        await rm(half, { recursive: true, force: true })
      }
      return programs
    },
  }
}
