import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t, { type Test } from "tap";
import { CallbackRedis, type RedisOptions } from "../../../core/runtime/redis.js";
import { redisSkipReason, startRedis } from "../../helpers/redis.js";
import { requireOrSkip } from "../../helpers/services.js";

function suite(name: string, body: (t: Test) => Promise<void>): void {
  t.test(name, async (t) => {
    if (requireOrSkip(t, "Redis", redisSkipReason())) await body(t);
  });
}

function connect(t: Test, url: string, more: Partial<RedisOptions> = {}): CallbackRedis {
  const client = new CallbackRedis({ url, ...more });
  t.teardown(() => client.end());
  return client;
}

async function readyClient(t: Test, url: string, more: Partial<RedisOptions> = {}): Promise<CallbackRedis> {
  const client = connect(t, url, more);
  await once(client, "ready");
  return client;
}

function evalsha(client: CallbackRedis, hash: string, ...args: unknown[]): Promise<unknown> {
  return new Promise((resolve, reject) => {
    client.evalsha(hash, ...args, (error: Error | null, reply: unknown) =>
      error === null ? resolve(reply) : reject(error),
    );
  });
}

const loaded = (client: CallbackRedis, source: string) =>
  new Promise<string>((resolve, reject) => {
    client
      .multi([["script", "load", source]])
      .exec((error, replies) => (error === null ? resolve(replies![0] as string) : reject(error)));
  });

suite("a script's own words come bare, as Bottleneck compares them", async (t) => {
  const redis = await startRedis(t);
  const client = await readyClient(t, redis.url);
  for (const word of ["UNKNOWN_CLIENT", "SETTINGS_KEY_NOT_FOUND", "OVERWEIGHT:2:1"]) {
    const hash = await loaded(client, `return redis.error_reply('${word}')`);
    for (const way of ["by source", "by hash"]) {
      await t.rejects(evalsha(client, hash, 0), { message: new RegExp(`^${word}$`) }, way);
    }
  }
});

suite("a script is found again after SCRIPT FLUSH and in a new Redis", async (t) => {
  const redis = await startRedis(t);
  const client = await readyClient(t, redis.url, { prepare: (source) => source.replace("old", "new") });
  const hash = await loaded(client, "return {KEYS[1], ARGV[1], 'old', 7}");
  const reply = ["k", "1", "new", 7];
  t.same(await evalsha(client, hash, 1, "k", 1), reply);
  await redis.ask("SCRIPT FLUSH");
  t.same(await evalsha(client, hash, 1, "k", 1), reply);
  await redis.kill();
  await redis.start();
  if (!client.ready) await once(client, "ready");
  t.same(await evalsha(client, hash, 1, "k", 1), reply);
  await t.rejects(evalsha(client, "0".repeat(40), 0), { message: /^NOSCRIPT/ }, "a script nobody has loaded");
});

suite("a subscription outlives its connection, and ends when it is ended", async (t) => {
  const redis = await startRedis(t);
  const client = (await readyClient(t, redis.url)).duplicate();
  t.teardown(() => client.end());
  client.subscribe("a");
  t.same(await once(client, "subscribe"), ["a"], "told also when it was asked for before the connection stood");
  for (const round of ["first", "second"]) {
    const message = once(client, "message");
    await redis.ask(`PUBLISH a ${round}`);
    t.same(await message, ["a", round]);
    if (round === "second") break;
    await redis.kill();
    const again = once(client, "subscribe");
    await redis.start();
    t.same(await again, ["a"]);
  }
  await new Promise<void>((resolve) => client.unsubscribe("a", () => resolve()));
  t.equal(await redis.ask("PUBLISH a third"), ":0");
});

suite("while Redis is away a call fails at once, and it is told once that it went and that it is back", async (t) => {
  const redis = await startRedis(t, { running: false });
  const told: string[] = [];
  const client = connect(t, redis.url, { onUp: () => told.push("up"), onDown: () => told.push("down") });
  const hash = client.keep("return 1");
  await t.rejects(evalsha(client, hash, 0), { message: "Redis is away" });
  await new Promise((resolve) => setTimeout(resolve, 500));
  await redis.start();
  if (!client.ready) await once(client, "ready");
  t.equal(await evalsha(client, hash, 0), 1);
  t.same(told, ["down", "up"]);
});

suite("a Redis that stands still is given up, with every call that waits for it", async (t) => {
  const redis = await startRedis(t);
  const client = await readyClient(t, redis.url);
  const hash = client.keep("return 1");
  redis.pause();
  const fromMs = performance.now();
  await t.rejects(evalsha(client, hash, 0));
  t.ok(performance.now() - fromMs < 20_000);
  redis.resume();
  await once(client, "ready");
  t.equal(await evalsha(client, hash, 0), 1);
});

suite("a Unix socket and a password work, and a wrong password is told to nobody", async (t) => {
  // Not t.testdir(): a Unix socket's path is cut at 107 bytes.
  const folder = await mkdtemp(join(tmpdir(), "sluice-"));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const socket = join(folder, "r.sock");
  const password = "hunter2/@ü";
  const args = ["--unixsocket", socket, "--requirepass", password];
  await startRedis(t, { args, isReady: "-NOAUTH Authentication required." });
  const url = (words: string) => `unix://${socket}?db=3&user=default&password=${encodeURIComponent(words)}`;
  const client = await readyClient(t, url(password));
  await evalsha(client, client.keep("return redis.call('set', KEYS[1], 1)"), 1, "in-three");
  const inThree = client.keep("redis.call('select', 3) return redis.call('get', KEYS[1])");
  t.equal(await evalsha(client, inThree, 1, "in-three"), "1");
  const down = await new Promise<Error>((resolve) => connect(t, url("wrong-hunter2"), { onDown: resolve }));
  t.match(down.message, /WRONGPASS/);
  t.notMatch(`${down.message}${down.stack}`, /hunter2/);
});

t.test("rediss:// speaks TLS, and after its end a connection tries no more", async (t) => {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => void server.close());
  let connections = 0;
  server.on("connection", (socket) => {
    connections++;
    socket.on("error", () => undefined);
    socket.once("data", () => socket.destroy());
  });
  const client = connect(t, `rediss://127.0.0.1:${(server.address() as net.AddressInfo).port}`);
  const [socket] = (await once(server, "connection")) as [net.Socket];
  const [hello] = (await once(socket, "data")) as [Buffer];
  t.equal(hello[0], 0x16, "a TLS handshake");
  client.end();
  const before = connections;
  await new Promise((resolve) => setTimeout(resolve, 300));
  t.ok(connections <= before + 1);
});
