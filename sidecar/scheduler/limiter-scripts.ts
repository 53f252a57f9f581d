/**
 * What we add to Bottleneck's scripts in Redis. Facts about 2.19.5 that they rest on: job `index` stands in `b_<id>_job_weights`,
 * `_job_clients` and, with the time at which it is given up, in `_job_expirations`; every script but `init` and `register_client` ends
 * in a look at those times; a message `capacity:` on `b_<id>_<client>` makes that client alone try again.
 */

/** Keys of a limiter nobody touches for this long are forgotten. */
export const KEEP_MS = 7 * 86_400_000;
/** A permit whose holder gives no sign of life for this long is free again. */
export const LEASE_MS = 15_000;
/** A waiter that gives no sign of life for this long does not hold up the less urgent. */
const SILENT_MS = 3_000;

const TIME = `local time = redis.call('time')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)`;

const URGENCY = `local base = string.sub(KEYS[1], 1, -10)
local urgency_key = base..'_urgency'
local set_urgency = function (priority)
  if priority == '' then redis.call('hdel', urgency_key, ARGV[2])
  else redis.call('hset', urgency_key, ARGV[2], priority) end
  redis.call('pexpire', urgency_key, ${KEEP_MS})
end`;

/** In front of `submit`: says how urgent this client's most urgent waiter is (one argument more). */
const SUBMIT = `set_urgency(ARGV[5])`;

/**
 * Around `register`: whoever is less urgent than a living waiter elsewhere is not let in, and wakes that one. Bottleneck itself lets in
 * whoever asks first. Two arguments more: how urgent the one that asks is, and who is next here after it.
 */
const REGISTER = (original: string) => `
local best, waiter
local all = redis.call('hgetall', urgency_key)
for i = 1, #all, 2 do
  local seen = tonumber(redis.call('zscore', KEYS[8], all[i]) or nil)
  local priority = tonumber(all[i + 1])
  if all[i] ~= ARGV[2] and seen and seen > now - ${SILENT_MS} and (not best or priority < best) then
    best, waiter = priority, all[i]
  end
end
local wake = function () redis.call('publish', base..'_'..waiter, 'capacity:') end
if best and best < tonumber(ARGV[6]) then
  wake()
  return {false}
end
local reply = (function ()
${original}
end)()
if reply[1] then
  set_urgency(ARGV[7])
  if best and (ARGV[7] == '' or best <= tonumber(ARGV[7])) then wake() end
end
return reply`;

/**
 * What Bottleneck's scripts become. All of them read the time from Redis: its clients' clocks differ, and it gives up permits and holds
 * back starts by theirs.
 * @throws Error when a script is not the one these changes were made for
 */
export function prepareScript(source: string): string {
  const timed = replaceOnce(source, "local now = tonumber(ARGV[1])", TIME);
  const head = `${TIME}\n${URGENCY}\n`;
  if (source.includes("local expiration = tonumber(ARGV[num_static_argv + 3])")) return head + REGISTER(timed);
  if (source.includes("local queueLength = tonumber(ARGV[num_static_argv + 1])")) return `${head}${SUBMIT}\n${timed}`;
  return timed;
}

function replaceOnce(source: string, old: string, fresh: string): string {
  if (source.split(old).length !== 2) throw new Error("Bottleneck's scripts are not those of 2.19.5");
  return source.replace(old, () => fresh);
}

/**
 * One round of one client at one limiter: renews the leases of the jobs it holds, puts back those that Redis has forgotten, gives up
 * those it asks to, and puts right what Redis believes of its queue.
 *
 * Arguments: time (unread), client, jobs waiting, urgency of the first ('' for none), number held, held jobs..., jobs to give up...
 * Answer: 0 when the limiter or the client is unknown, else the client's jobs that it does not hold.
 */
export const ROUND = `${TIME}
${URGENCY}
local client = ARGV[2]
if redis.call('exists', KEYS[1]) == 0 or not redis.call('zscore', KEYS[8], client) then return 0 end
redis.call('zadd', KEYS[8], now, client)
redis.call('hset', KEYS[6], client, ARGV[3])
set_urgency(ARGV[4])
local held = {}
local last_held = 5 + tonumber(ARGV[5])
for i = 6, last_held do
  local index = ARGV[i]
  held[index] = true
  if redis.call('hsetnx', KEYS[2], index, 1) == 1 then
    redis.call('hset', KEYS[4], index, client)
    redis.call('hincrby', KEYS[1], 'running', 1)
    redis.call('zincrby', KEYS[5], 1, client)
  end
  redis.call('zadd', KEYS[3], now + ${LEASE_MS}, index)
end
for i = last_held + 1, #ARGV do
  if redis.call('hget', KEYS[4], ARGV[i]) == client then redis.call('zadd', KEYS[3], 0, ARGV[i]) end
end
for _, name in ipairs({'nextRequest', 'lastReservoirRefresh', 'lastReservoirIncrease'}) do
  if (tonumber(redis.call('hget', KEYS[1], name)) or 0) > now then redis.call('hset', KEYS[1], name, now) end
end
for i = 1, #KEYS do redis.call('pexpire', KEYS[i], ${KEEP_MS}) end
local strangers = {}
local owners = redis.call('hgetall', KEYS[4])
for i = 1, #owners, 2 do
  if owners[i + 1] == client and not held[owners[i]] then table.insert(strangers, owners[i]) end
end
return strangers`;

/** The keys of a limiter, in the order of Bottleneck's scripts. */
export function keysOf(id: string): string[] {
  return [
    "settings",
    "job_weights",
    "job_expirations",
    "job_clients",
    "client_running",
    "client_num_queued",
    "client_last_registered",
    "client_last_seen",
  ].map((name) => `b_${id}_${name}`);
}
