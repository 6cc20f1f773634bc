/** `npm run build`: compiles both packages from scratch, the library first, for the server is checked against it. */
import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './root.ts'

const compiler = join(root, 'node_modules/typescript/bin/tsc')

for (const name of ['holdfast', 'server']) {
  const folder = join(root, 'packages', name)
  rmSync(join(folder, 'dist'), { recursive: true, force: true })
  const { status } = spawnSync(process.execPath, [compiler, '-p', join(folder, 'tsconfig.build.json')], {
    stdio: 'inherit',
  })
  if (status !== 0) process.exit(1)
}
