/** Sessions that end on a date beyond a change of the clocks, in whatever time zone this process was started in. */

import { Stage } from './stage.ts'

const day = 86_400_000
const ages: number[] = []
const alive: boolean[] = []

// The clocks of New York and Berlin change between each of these and two days later.
for (const start of ['2026-03-07T12:00:00Z', '2026-10-24T12:00:00Z']) {
  const stage = new Stage({ idle: '30m', absolute: '30d', touchEvery: 0 })
  stage.clock.set(Date.parse(start))
  const session = await stage.sessions.start({ data: { a: 1 } })
  const end = new Date(stage.clock.now() + 2 * day)
  session.setExpiry(end)
  await session.save()
  const { credential } = session
  ages.push((await stage.sessions.load(credential)).expiryAge())
  for (const instant of [end.getTime() - 1, end.getTime()]) {
    stage.clock.set(instant)
    alive.push(!(await stage.sessions.load(credential, { keepAlive: false })).isNew)
  }
}

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone
process.stdout.write(JSON.stringify({ zone, answer: { ages, alive } }))
