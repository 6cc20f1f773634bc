import { definePlugin } from 'nitro'
import { store } from '../sessions.ts'

export default definePlugin(({ hooks }) => {
  hooks.hook('close', () => store.close())
})
