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
import { mostBeforeValue } from './form.ts'
import type { Argument, Asker, Wire } from './wire.ts'

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
  asker?: Asker,
): Promise<unknown> {
  try {
    // Nearly always this is all there is to it.
    return await wire.send(keys[0], ['EVALSHA', script.digest, String(keys.length), ...keys, ...args], asker)
  } catch (error) {
    if (!(error instanceof ScriptUnknown || error instanceof SlotMoving)) throw error
    return await insistently(wire, keys[0], script, [String(keys.length), ...keys, ...args], asker)
  }
}

async function insistently(
  wire: Wire,
  name: string,
  script: Script,
  rest: readonly Argument[],
  asker: Asker | undefined,
): Promise<unknown> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await wire.send(name, ['EVAL', script.source, ...rest], asker)
    } catch (error) {
      if (!(error instanceof SlotMoving)) throw error
      if (attempt === mostAttempts || asker?.signal.aborted)
        throw new StoreUnavailable(error.message, { cause: error })
      await systemClock.sleep(slotPause)
    }
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

/**
 * A pattern of a record's header, as in `form.ts`: gives expiry, time of the last touch, and the lengths of version and
 * labels. What isn't a header gives nothing.
 */
const header = `'^1(${digits(16)})(${digits(16)})(${digits(3)})(${digits(4)})'`

/** The record's member in the indexes, from its name. */
const member = `string.match(KEYS[1], '}r:(.*)$')`

/** KEYS record keys expiries; ARGV now content expiresAt backstop deadline channel reserved */
export const create = script(`${makeWay}${late}
local head = redis.call('GETRANGE', KEYS[1], 0, 39)
if head ~= '' then
  local expiresAt = string.match(head, ${header})
  if not expiresAt or tonumber(ARGV[1]) < tonumber(expiresAt) then return 'conflict' end
end
if late(ARGV[5]) then return 'late' end
if ARGV[7] == '1' then makeWay(KEYS[2]) end
local set = { 'SET', KEYS[1], ARGV[2] }
if head == '' then set[#set + 1] = 'NX' end
if ARGV[4] ~= '' then
  set[#set + 1] = 'PXAT'
  set[#set + 1] = ARGV[4]
end
if not redis.call(unpack(set)) then return 'conflict' end
local member = ${member}
redis.call('ZADD', KEYS[2], 0, member)
redis.call('ZADD', KEYS[3], ARGV[3], member)
redis.call('PUBLISH', ARGV[6], member)
return 'done'`)

/**
 * KEYS record expiries; ARGV times flags expected version value backstop channel [labels length deadline]. The times are
 * now, expiresAt and touchedAt, 16 digits each; the flags setsExpiry, expired and reserved. One read brings the header
 * with the version and labels of usual length, one SET writes what the record is to become. When that is refused for
 * want of memory, and needs no more than what was there, it is made way for.
 */
export const replace = script(`
local times, flags, expected, labels, length = ARGV[1], ARGV[2], ARGV[3], ARGV[8], ARGV[9]
local head = redis.call('GETRANGE', KEYS[1], 0, 255 + #expected)
local storedExpiry, storedTouch, v, l = string.match(head, ${header})
if not storedExpiry then return 'gone' end
local was = tonumber(storedExpiry)
if tonumber(string.sub(times, 1, 16)) >= was and string.sub(flags, 2, 2) ~= '1' then return 'gone' end
local front = 40 + v
if string.sub(head, 41, front) ~= expected then return 'conflict' end
if labels then
  ${late}
  if late(ARGV[10]) then return 'late' end
else
  length = l
  if front + l <= #head then labels = string.sub(head, front + 1, front + l)
  else labels = redis.call('GETRANGE', KEYS[1], front, front + l - 1) end
end
local expiresAt, touchedAt = string.sub(times, 17, 32), string.sub(times, 33)
if was > tonumber(expiresAt) and string.sub(flags, 1, 1) ~= '1' then expiresAt = storedExpiry end
if tonumber(storedTouch) > tonumber(touchedAt) then touchedAt = storedTouch end
local version = ARGV[4]
local content = '1' .. expiresAt .. touchedAt .. string.format('%03d', #version) .. length .. version .. labels .. ARGV[5]
if string.sub(flags, 3) == '1' then redis.call('ZREM', KEYS[2], '') end
local set = { 'SET', KEYS[1], content }
if expiresAt == storedExpiry then
  set[4] = 'KEEPTTL'
elseif ARGV[6] ~= '' then
  set[4] = 'PXAT'
  set[5] = ARGV[6]
end
local reply = redis.pcall(unpack(set))
if reply.err then
  if #content > redis.call('STRLEN', KEYS[1]) then return reply end
  redis.call('ZREM', KEYS[2], '')
  redis.call(unpack(set))
end
local member = ${member}
if tonumber(expiresAt) < was then redis.call('ZADD', KEYS[2], expiresAt, member) end
redis.call('PUBLISH', ARGV[7], member)
return 'done'`)

/** KEYS record expiries; ARGV now version expiresAt touchedAt backstop. Writes over the header, and only if it changes. */
export const touch = script(`
local head = redis.call('GETRANGE', KEYS[1], 0, 39 + #ARGV[2])
local storedExpiry, storedTouch, v = string.match(head, ${header})
if not storedExpiry or tonumber(ARGV[1]) >= tonumber(storedExpiry) then return 'gone' end
if tonumber(v) ~= #ARGV[2] or string.sub(head, 41) ~= ARGV[2] then return 'conflict' end
local expiresAt, touchedAt = storedExpiry, storedTouch
if tonumber(ARGV[3]) > tonumber(storedExpiry) then expiresAt = ARGV[3] end
if tonumber(ARGV[4]) > tonumber(storedTouch) then touchedAt = ARGV[4] end
if expiresAt == storedExpiry and touchedAt == storedTouch then return 'done' end
redis.call('ZREM', KEYS[2], '')
redis.call('SETRANGE', KEYS[1], 1, expiresAt .. touchedAt)
if expiresAt ~= storedExpiry then
  if ARGV[5] == '' then redis.call('PERSIST', KEYS[1]) else redis.call('PEXPIREAT', KEYS[1], ARGV[5]) end
end
return 'done'`)

/**
 * KEYS record keys expiries; ARGV before channel. Without `before` it removes whatever is there. Answers with expiry and
 * labels of what it removed, and with nothing where there was nothing, or a record that was prolonged: its entry among
 * the expiries is set right then.
 */
export const remove = script(`${makeWay}
local head = redis.pcall('GETRANGE', KEYS[1], 0, 39)
local expiresAt, _, v, l
if type(head) == 'string' then expiresAt, _, v, l = string.match(head, ${header}) end
local member = ${member}
makeWay(KEYS[2])
if ARGV[1] ~= '' and expiresAt and tonumber(expiresAt) > tonumber(ARGV[1]) then
  redis.call('ZADD', KEYS[3], expiresAt, member)
  return false
end
local labels = ''
if expiresAt and tonumber(l) > 0 then labels = redis.call('GETRANGE', KEYS[1], 40 + v, 39 + v + l) end
local was = redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], member)
redis.call('ZREM', KEYS[3], member)
if was == 0 then return false end
redis.call('PUBLISH', ARGV[2], member)
return { expiresAt or '0', labels }`)

/** KEYS records. Answers with what comes before their values, and with nothing for what is not there or no string. */
export const heads = script(`
local found = {}
for i, name in ipairs(KEYS) do
  local head = redis.pcall('GETRANGE', name, 0, ${mostBeforeValue})
  found[i] = type(head) == 'string' and head ~= '' and head or false
end
return found`)

/**
 * KEYS indexes of buckets, of keys or of expiries; ARGV count command from to after. Members in the range, of one index
 * after the other until there are `count`, each with the number of its index in front; the first index is gone through
 * from \`after\` on, where that is given.
 */
export const members = script(`
local found, left = {}, tonumber(ARGV[1])
for i, index in ipairs(KEYS) do
  local from = i == 1 and ARGV[5] ~= '' and ARGV[5] or ARGV[3]
  for _, each in ipairs(redis.call(ARGV[2], index, from, ARGV[4], 'LIMIT', 0, left)) do
    found[#found + 1] = i - 1 .. ' ' .. each
    left = left - 1
  end
  if left == 0 then break end
end
return found`)

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

/**
 * KEYS ids stamps; ARGV ids. Answers with the server's time and each entry's stamp, as one text with spaces between: `-`
 * where there is no entry, `*` where it has no stamp.
 */
export const stamps = script(`${serverTime}
local found = { string.format('%.0f', serverTime()) }
for i, id in ipairs(ARGV) do
  local stamp = redis.call('ZSCORE', KEYS[1], id) and (redis.call('HGET', KEYS[2], id) or '*')
  found[i + 1] = stamp or '-'
end
return table.concat(found, ' ')`)

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
local head = redis.call('GETRANGE', KEYS[1], 0, 1038)
local _, _, v = string.match(head, ${header})
return v and string.sub(head, 41, 40 + v) or ''`)

/** KEYS record keys expiries. Enters a record where it is missing; answers with how many entries were. */
export const reenter = script(`
local expiresAt = string.match(redis.call('GETRANGE', KEYS[1], 0, 39), ${header})
if not expiresAt then return 0 end
local member = ${member}
return redis.call('ZADD', KEYS[2], 'NX', 0, member) + redis.call('ZADD', KEYS[3], 'NX', expiresAt, member)`)

/** A pattern of so many digits. */
function digits(count: number): string {
  return '%d'.repeat(count)
}
