/**
 * Redis as Bottleneck 2.19 expects it: the callback API of node-redis 3, over `redis` 6. The only importer of redis.
 *
 * A connection that is lost, or silent for {@link SILENCE_MS}, is made anew by itself; what was under way on it fails at once, nothing is
 * queued while Redis is away. No call ever rejects unheard. Redis 6 or later.
 */
import { createHash } from "node:crypto";
import { EventEmitter } from "node:events";
import { createClient } from "redis";
import { sleep } from "./clock.js";

export interface RedisOptions {
  /** `redis://`, `rediss://` or `unix:///path[?db=0&user=…&password=…]`. Never logged: it may hold a password. */
  readonly url: string;
  /** What a script's source becomes before its first use. */
  readonly prepare?: (source: string) => string;
  readonly onUp?: () => void;
  /** Called once each time Redis goes away, the first try included. */
  readonly onDown?: (cause: Error) => void;
}

/** What a script or command was answered; lists become arrays. */
export type RedisReply = unknown;
type Callback = (error: Error | null, reply?: RedisReply) => void;
type Client = ReturnType<typeof connectionTo>;

const CONNECT_MS = 2_000;
const PING_MS = 1_000;
/** Redis that does not answer a ping for this long counts as gone. */
const SILENCE_MS = 3_000;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1_000;
/** Commands that may wait for their answers; beyond that they fail. */
const MAX_PENDING = 10_000;

export const REDIS_AWAY = "Redis is away";

/** Connects at once and stays connected until {@link end}. @throws TypeError when the URL is none */
export class CallbackRedis extends EventEmitter {
  /** True while connected. */
  ready = false;
  readonly #options: RedisOptions;
  readonly #over = new AbortController();
  readonly #sources = new Map<string, string>();
  readonly #channels = new Set<string>();
  #client: Client | null = null;
  #isDown = false;

  constructor(options: RedisOptions) {
    super();
    this.#options = options;
    // Only made, not connected: a URL that is none is refused here.
    void this.#stayConnected(connectionTo(options.url));
  }

  /** A second connection, for messages; its ups and downs are not told. */
  duplicate(): CallbackRedis {
    return new CallbackRedis({ url: this.#options.url });
  }

  /** Scripts are kept here by their hash; Redis learns them when it says that it does not know them. */
  multi(
    commands: string[][],
  ): Record<"exec" | "exec_atomic", (done: (error: Error | null, replies?: RedisReply[]) => void) => void> {
    const run = async () => {
      const replies: RedisReply[] = [];
      for (const [name, kind, source] of commands) {
        if (name !== "script" || kind !== "load" || source === undefined) throw new Error(`no '${name}' in a multi`);
        replies.push(this.keep(this.#options.prepare?.(source) ?? source));
      }
      return replies;
    };
    const exec = (done: (error: Error | null, replies?: RedisReply[]) => void) => {
      run().then((replies) => done(null, replies), done);
    };
    return { exec, exec_atomic: exec };
  }

  /** @returns the hash under which {@link evalsha} finds this source */
  keep(source: string): string {
    const hash = createHash("sha1").update(source).digest("hex");
    this.#sources.set(hash, source);
    return hash;
  }

  evalsha(...given: [...args: unknown[], done: Callback]): void {
    const done = given.pop() as Callback;
    this.#evaluate(given.map(String)).then((reply) => done(null, reply), done);
  }

  publish(channel: string, message: string): void {
    // A message that is lost is made up for by the next round of the limiters.
    this.#send(["PUBLISH", channel, message]).catch(() => undefined);
  }

  /** Emits `subscribe` with the channel each time the subscription stands: at once, or when Redis is back. */
  subscribe(channel: string): void {
    this.#channels.add(channel);
    if (this.#client !== null) this.#listen(this.#client, channel).catch(() => undefined);
  }

  unsubscribe(channel: string, done: Callback): void {
    this.#channels.delete(channel);
    const gone = this.#client?.unsubscribe(channel) ?? Promise.resolve();
    gone.catch(() => undefined).then(() => done(null, channel));
  }

  end(): void {
    this.#over.abort(new Error(REDIS_AWAY));
    this.#client?.destroy();
  }

  async #evaluate([hash, ...rest]: string[]): Promise<RedisReply> {
    try {
      return await this.#send(["EVALSHA", hash!, ...rest]);
    } catch (cause) {
      const error = withBareWords(cause as Error);
      const source = this.#sources.get(hash!);
      if (!error.message.startsWith("NOSCRIPT") || source === undefined) throw error;
      return await this.#send(["EVAL", source, ...rest]).catch((again: Error) => {
        throw withBareWords(again);
      });
    }
  }

  async #send(command: string[]): Promise<RedisReply> {
    if (this.#client === null) throw new Error(REDIS_AWAY);
    return this.#client.sendCommand(command);
  }

  async #listen(client: Client, channel: string): Promise<void> {
    await client.subscribe(channel, (message, from) => this.emit("message", from, message));
    this.emit("subscribe", channel);
  }

  async #stayConnected(first: Client): Promise<void> {
    let pauseMs = FIRST_PAUSE_MS;
    for (let client = first; !this.#over.signal.aborted; client = connectionTo(this.#options.url)) {
      let lost: Error;
      try {
        const ended = new Promise<Error>((resolve) => {
          client.on("error", resolve);
          client.on("end", () => resolve(new Error("the connection ended")));
        });
        await within(client.connect(), CONNECT_MS);
        for (const channel of this.#channels) await within(this.#listen(client, channel), CONNECT_MS);
        pauseMs = FIRST_PAUSE_MS;
        this.#up(client);
        lost = await Promise.race([ended, silence(client)]);
      } catch (cause) {
        lost = cause as Error;
      }
      this.#client = null;
      this.ready = false;
      client.destroy();
      if (this.#over.signal.aborted) return;
      this.#down(lost);
      // Spread, so that many sidecars do not come back in one moment.
      await sleep(pauseMs * (0.5 + Math.random() / 2), this.#over.signal);
      pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
    }
  }

  #up(client: Client): void {
    this.#client = client;
    this.ready = true;
    this.#isDown = false;
    this.#options.onUp?.();
    this.emit("ready");
  }

  #down(cause: Error): void {
    if (this.#isDown) return;
    this.#isDown = true;
    this.#options.onDown?.(cause);
  }
}

function connectionTo(url: string) {
  const common = {
    disableOfflineQueue: true,
    commandsQueueMaxLength: MAX_PENDING,
    disableClientInfo: true,
    maintNotifications: "disabled",
  } as const;
  const socket = { reconnectStrategy: false, connectTimeout: CONNECT_MS } as const;
  if (!url.startsWith("unix:")) return createClient({ url, socket, ...common });
  const { pathname, searchParams } = new URL(url);
  const [username, password] = [searchParams.get("user"), searchParams.get("password")];
  return createClient({
    socket: { ...socket, path: decodeURIComponent(pathname), tls: false },
    ...(username === null ? {} : { username }),
    ...(password === null ? {} : { password }),
    database: Number(searchParams.get("db") ?? 0),
    ...common,
  });
}

/** Resolves when a ping stays unanswered. */
async function silence(client: Client): Promise<Error> {
  for (;;) {
    try {
      await within(client.ping(), SILENCE_MS);
    } catch (cause) {
      return cause as Error;
    }
    await sleep(PING_MS);
  }
}

function within<Value>(work: Promise<Value>, ms: number): Promise<Value> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no answer from Redis within ${ms} ms`)), ms);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** Redis 7 puts `ERR ` before the words a script fails with, and where it failed behind them; Bottleneck compares the bare words. */
function withBareWords(error: Error): Error {
  error.message = error.message.replace(/^ERR /, "").replace(/ script: [0-9a-f]{40}, on .*$/s, "");
  return error;
}
