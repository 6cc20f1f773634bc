import { defineConfig } from 'nitro'

export default defineConfig({
  serverDir: 'server',
  preset: 'node_server',
  // In one file with everything else, its threads would not find their programs.
  traceDeps: ['holdfast'],
})
