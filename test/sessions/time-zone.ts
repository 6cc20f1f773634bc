/** Run in several time zones: around its expiry and around a change to summer time, is a session alive? */

import { memoryStore } from '../../packages/holdfast/src/drivers/memory.ts'
import { Sessions } from '../../packages/holdfast/src/sessions/sessions.ts'
import { fakeClock } from '../../packages/holdfast/src/testing/clock.ts'

const alive: boolean[] = []
for (const start of [Date.UTC(2026, 0, 1), Date.UTC(2026, 2, 29, 0, 30)]) {
  const clock = fakeClock({ start })
  const sessions = new Sessions(memoryStore({ clock }), { idle: '1h', touchEvery: 0 })
  const { credential, id } = await sessions.start()
  clock.advance(3_599_999)
  alive.push((await sessions.get(id ?? '')) !== undefined)
  clock.advance(1)
  alive.push(!(await sessions.load(credential)).isNew)
}
process.stdout.write(JSON.stringify({ zone: Intl.DateTimeFormat().resolvedOptions().timeZone, alive }))
