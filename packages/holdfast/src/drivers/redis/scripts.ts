/**
 * The scripts: each is one atomic step within one slot. They are sent by digest, and in full where the server
 * doesn't know them yet.
 *
 * Numbers travel as decimal text and are only compared here, so that none is ever printed by Lua in `1e+15` form.
 *
 * Full memory: Redis refuses a script's first write when its memory is full, but never stops one that has written.
 * A step that needs no more room than it frees therefore begins with a removal of nothing (`makeWay`), which is
 * always allowed, costs nothing and isn't replicated. So burying works when nothing else does.
 */

import { createHash } from 'node:crypto'
import { systemClock } from '../../clock.ts'
import { StoreUnavailable } from '../../errors.ts'
import { ScriptUnknown, SlotMoving } from './failure.ts'
import type { Argument, Wire } from './wire.ts'

/** A script and its digest. */
export interface Script {
  readonly source: string
  readonly digest: string
}

/** Milliseconds between two attempts while a slot is on its way to another master. */
const slotPause = 20
const mostAttempts = 50

/** Runs a script at the owner of its first key. While its slot is moving and the keys are torn apart, it waits. */
export async function run(
  wire: Wire,
  script: Script,
  keys: readonly [string, ...string[]],
  args: readonly Argument[],
  signal?: AbortSignal,
): Promise<unknown> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await sent(wire, script, [String(keys.length), ...keys, ...args], keys[0], signal)
    } catch (error) {
      if (!(error instanceof SlotMoving)) throw error
      if (attempt === mostAttempts || signal?.aborted)
        throw new StoreUnavailable(error.message, { cause: error })
      await systemClock.sleep(slotPause)
    }
  }
}

async function sent(
  wire: Wire,
  script: Script,
  rest: readonly Argument[],
  name: string,
  signal: AbortSignal | undefined,
): Promise<unknown> {
  try {
    return await wire.send(name, ['EVALSHA', script.digest, ...rest], signal)
  } catch (error) {
    if (!(error instanceof ScriptUnknown)) throw error
    return await wire.send(name, ['EVAL', script.source, ...rest], signal)
  }
}

function script(source: string): Script {
  return { source, digest: createHash('sha1').update(source).digest('hex') }
}

const makeWay = `
local function makeWay(index) redis.call('ZREM', index, '') end`

const serverTime = `
local function serverTime()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end`

/** The promise under which the labels were entered has lapsed, so a repairer may be about to take them out. */
const late = `${serverTime}
local function late(deadline) return deadline ~= '' and serverTime() > tonumber(deadline) end`

/** The server's own expiry: a backstop behind the sweep. */
const backstop = `
local function backstop(record, expiresAt, wait)
  if tonumber(expiresAt) >= 9007199254740991 then
    redis.call('PERSIST', record)
  else
    redis.call('PEXPIREAT', record, string.format('%.0f', tonumber(expiresAt) + tonumber(wait)))
  end
end`

/** KEYS record keys expiries; ARGV now member version value labels expiresAt touchedAt wait deadline channel reserved */
export const create = script(`${makeWay}${late}${backstop}
local stored = redis.call('HGET', KEYS[1], 'e')
if stored and tonumber(ARGV[1]) < tonumber(stored) then return 'conflict' end
if not stored and redis.call('EXISTS', KEYS[1]) == 1 then return 'conflict' end
if late(ARGV[9]) then return 'late' end
if ARGV[11] == '1' then makeWay(KEYS[2]) end
redis.call('ZADD', KEYS[2], 0, ARGV[2])
redis.call('ZADD', KEYS[3], ARGV[6], ARGV[2])
redis.call('HSET', KEYS[1], 'v', ARGV[3], 'd', ARGV[4], 'l', ARGV[5], 'e', ARGV[6], 't', ARGV[7])
backstop(KEYS[1], ARGV[6], ARGV[8])
redis.call('PUBLISH', ARGV[10], ARGV[2])
return 'done'`)

/**
 * KEYS record keys expiries; ARGV now member expected version value relabel labels expiresAt setsExpiry touchedAt wait
 * deadline channel expired reserved
 */
export const replace = script(`${makeWay}${late}${backstop}
local stored = redis.call('HMGET', KEYS[1], 'v', 'e', 't')
if not (stored[1] and stored[2] and stored[3]) then return 'gone' end
if ARGV[14] ~= '1' and tonumber(ARGV[1]) >= tonumber(stored[2]) then return 'gone' end
if stored[1] ~= ARGV[3] then return 'conflict' end
if late(ARGV[12]) then return 'late' end
local relabel = ARGV[6] == '1'
local room, need = redis.call('HSTRLEN', KEYS[1], 'd'), #ARGV[5]
if relabel then room, need = room + redis.call('HSTRLEN', KEYS[1], 'l'), need + #ARGV[7] end
if ARGV[15] == '1' or need <= room then makeWay(KEYS[2]) end
local expiresAt, touchedAt = ARGV[8], ARGV[10]
if ARGV[9] ~= '1' and tonumber(stored[2]) > tonumber(expiresAt) then expiresAt = stored[2] end
if tonumber(stored[3]) > tonumber(touchedAt) then touchedAt = stored[3] end
if expiresAt ~= stored[2] then redis.call('ZADD', KEYS[3], expiresAt, ARGV[2]) end
redis.call('HSET', KEYS[1], 'v', ARGV[4], 'd', ARGV[5], 'e', expiresAt, 't', touchedAt)
if relabel then redis.call('HSET', KEYS[1], 'l', ARGV[7]) end
if expiresAt ~= stored[2] then backstop(KEYS[1], expiresAt, ARGV[11]) end
redis.call('PUBLISH', ARGV[13], ARGV[2])
return 'done'`)

/** KEYS record expiries; ARGV now member version expiresAt touchedAt wait */
export const touch = script(`${makeWay}${backstop}
local stored = redis.call('HMGET', KEYS[1], 'v', 'e', 't')
if not (stored[1] and stored[2] and stored[3]) then return 'gone' end
if tonumber(ARGV[1]) >= tonumber(stored[2]) then return 'gone' end
if stored[1] ~= ARGV[3] then return 'conflict' end
makeWay(KEYS[2])
if tonumber(ARGV[5]) > tonumber(stored[3]) then redis.call('HSET', KEYS[1], 't', ARGV[5]) end
if tonumber(ARGV[4]) > tonumber(stored[2]) then
  redis.call('ZADD', KEYS[2], ARGV[4], ARGV[2])
  redis.call('HSET', KEYS[1], 'e', ARGV[4])
  backstop(KEYS[1], ARGV[4], ARGV[6])
end
return 'done'`)

/**
 * KEYS record keys expiries; ARGV member before channel. Without `before` it removes whatever is there. Answers with
 * expiry and labels of what it removed, and with nothing where there was no record, or one that was prolonged.
 */
export const remove = script(`${makeWay}
local stored = redis.call('HMGET', KEYS[1], 'e', 'l')
makeWay(KEYS[2])
if ARGV[2] ~= '' and stored[1] and tonumber(stored[1]) > tonumber(ARGV[2]) then
  redis.call('ZADD', KEYS[3], stored[1], ARGV[1])
  return false
end
local was = redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
if was == 0 then return false end
redis.call('PUBLISH', ARGV[3], ARGV[1])
return { stored[1] or '0', stored[2] or '' }`)

/**
 * KEYS ids stamps; ARGV id window nonce reserved. Enters a promise and answers with its deadline in server time. A
 * deadline never moves back, also when the server's clock does: earlier promises of the same entry still count.
 */
export const promise = script(`${makeWay}${serverTime}
local deadline = serverTime() + tonumber(ARGV[2])
local stored = redis.call('HGET', KEYS[2], ARGV[1])
local earlier = stored and tonumber(string.match(stored, '^%d+'))
if earlier and earlier > deadline then deadline = earlier end
if ARGV[4] == '1' then makeWay(KEYS[1]) end
redis.call('ZADD', KEYS[1], 0, ARGV[1])
local text = string.format('%.0f', deadline)
redis.call('HSET', KEYS[2], ARGV[1], text .. '.' .. ARGV[3])
return text`)

/** KEYS ids stamps; ARGV from to count reverse. Answers with the server's time, then id and stamp in turn. */
export const page = script(`${serverTime}
local range = ARGV[4] == '1' and 'ZREVRANGEBYLEX' or 'ZRANGEBYLEX'
local ids = redis.call(range, KEYS[1], ARGV[1], ARGV[2], 'LIMIT', 0, ARGV[3])
local found = { string.format('%.0f', serverTime()) }
if #ids == 0 then return found end
local stamps = redis.call('HMGET', KEYS[2], unpack(ids))
for i, id in ipairs(ids) do
  found[#found + 1] = id
  found[#found + 1] = stamps[i] or ''
end
return found`)

/** KEYS ids stamps; ARGV id stamp. Takes an entry out if it was not promised again since its stamp was read. */
export const drop = script(`
if (redis.call('HGET', KEYS[2], ARGV[1]) or '') ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[2], ARGV[1])
return redis.call('ZREM', KEYS[1], ARGV[1])`)

/**
 * KEYS record beat. Answers with the version of the record, and writes something for replicas to follow, which is
 * gone after a second. The removal before it makes way where the memory is full.
 */
export const confirm = script(`
redis.call('DEL', KEYS[2])
redis.call('SET', KEYS[2], '', 'PX', 1000)
return redis.call('HGET', KEYS[1], 'v') or ''`)

/** KEYS record keys expiries; ARGV member. Enters a record where it is missing; answers with how many entries were. */
export const reenter = script(`
local expiresAt = redis.call('HGET', KEYS[1], 'e')
if not expiresAt then return 0 end
return redis.call('ZADD', KEYS[2], 'NX', 0, ARGV[1]) + redis.call('ZADD', KEYS[3], 'NX', expiresAt, ARGV[1])`)
