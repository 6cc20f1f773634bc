/**
 * `npm run servers`: starts every server that the tests use and keeps them until Ctrl-C. Prints the lines that
 * make another shell's tests use these servers instead of starting their own.
 */
import { serverKinds } from './servers/index.ts'
import { getServers } from './servers/launch.ts'
import { atEnd } from './tidy.ts'

const servers = await getServers(serverKinds)

console.log()
for (const [name, value] of Object.entries(servers.environment)) console.log(`export ${name}='${value}'`)
console.log('\nCtrl-C stops what was started here.')

// Children alone keep a process alive only until they end, and a server that was given has none.
const waiting = setInterval(() => undefined, 2 ** 30)
atEnd(() => {
  clearInterval(waiting)
})
