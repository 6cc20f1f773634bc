import { defineHandler } from 'nitro'

export default defineHandler(({ context: { session } }) => ({
  user: session.user ?? null,
  basket: session.keys(),
}))
