import { setTimeout as pause } from "node:timers/promises";
import type { Call, Reply } from "./http.js";
import { inPieces, replyJson } from "./http.js";
import { BUSY_MESSAGE } from "./trainer.js";

/** What an `x-misbehave` header asked for: `delay=200, cut=10` is two wishes. */
export type Wishes = ReadonlyMap<string, string>;

/** Every wish, with what its argument means; README.md's table is this one. */
export const WISHES: Readonly<Record<string, string>> = {
  delay: "`=<ms>`: wait before the first byte of the answer",
  cut: "`[=<bytes>]`: reset after so many bytes of the real answer's body; default half of it, of a streamed one the first",
  "cut-head": "reset before any byte, once the request was read",
  "refuse-429": "`[=<seconds>]`: 429, with `retry-after` when seconds are given",
  busy: "503 as if another training were active",
  status: "`=<code>`: that status with a message",
  "slow-body": "`=<ms>`: the real answer's body in 16 pieces with so long between them",
  big: "`=<bytes>`: a body that long, byte i being i modulo 251",
  die: "the process exits: `=head` when it has the head, `=body` (default) when it has the body, `=answer` half-way through its answer",
  hang: "read the request and never answer",
  block: "`=<ms>`: block the whole process so long before handling",
  "bad-http": "answer something that is not HTTP",
  "odd-headers": "add duplicate, oddly cased and Latin-1 headers to the real answer",
  swallow:
    "`[=<ms>]` or `slow-read=<ms>`: read the body with so long between two chunks (default 0), then tell its size and hash",
  "slow-read": "`=<ms>`: as `swallow`",
  echo: "answer what was asked: method, url, raw headers, size and hash of the body",
};

const NO_WISHES: Wishes = new Map();
const BIG_PERIOD = 251;
const EXIT_CODE = 1;

/** @returns no wishes unless the server was started with `--misbehave` */
export function readWishes(call: Call): Wishes {
  const header = call.header("x-misbehave");
  if (header === undefined || !call.service.options.misbehave) return NO_WISHES;
  return new Map(
    header.split(",").map((wish) => {
      const [name = "", argument = ""] = wish.trim().split("=", 2);
      return [name, argument];
    }),
  );
}

/** Does what is to be done instead of handling the request. @returns null when it is to be handled after all */
export async function misbehaveBefore(call: Call, wishes: Wishes): Promise<Reply | null> {
  if (wishes.size === 0) return null;
  const unknown = [...wishes.keys()].find((wish) => !(wish in WISHES));
  if (unknown !== undefined) return replyJson(400, { message: `No such misbehaviour: ${unknown}` });
  if (wishes.get("die") === "head") {
    call.log();
    process.exit(EXIT_CODE);
  }
  if (wishes.has("block")) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, numberOf(wishes, "block"));
  if (wishes.has("echo")) return await echo(call);
  if (wishes.has("swallow") || wishes.has("slow-read"))
    return await swallow(call, numberOf(wishes, "swallow") || numberOf(wishes, "slow-read"));
  if (["die", "hang", "cut-head", "bad-http", "refuse-429", "busy", "status", "big"].some((wish) => wishes.has(wish))) {
    if (wishes.get("die") !== "answer") await call.drain();
  }
  return breakOff(call, wishes) ?? refuse(wishes);
}

/** Changes how a real answer is sent. */
export async function misbehaveAfter(call: Call, wishes: Wishes, reply: Reply): Promise<Reply> {
  if (wishes.has("delay")) await pause(numberOf(wishes, "delay"));
  const length = Buffer.isBuffer(reply.body) ? reply.body.length : null;
  const headers = length === null ? reply.headers : { ...reply.headers, "content-length": String(length) };
  if (wishes.has("slow-body")) return { ...reply, headers, body: slowly(reply.body, numberOf(wishes, "slow-body")) };
  if (wishes.has("cut")) {
    const after = wishes.get("cut") === "" ? null : numberOf(wishes, "cut");
    return { ...reply, headers, body: upTo(reply.body, after, () => call.request.socket.resetAndDestroy()) };
  }
  if (wishes.get("die") === "answer")
    return { ...reply, headers, body: upTo(reply.body, null, () => process.exit(EXIT_CODE)) };
  if (wishes.has("odd-headers")) addOddHeaders(call);
  return reply;
}

/** Ways of ending without an answer; the promise never settles, the connection or the process ends instead. */
function breakOff({ request }: Call, wishes: Wishes): Promise<never> | null {
  const never = () => new Promise<never>(() => {});
  if (wishes.has("die") && wishes.get("die") !== "answer") process.exit(EXIT_CODE);
  if (wishes.has("hang")) return never();
  if (wishes.has("cut-head")) request.socket.resetAndDestroy();
  else if (wishes.has("bad-http")) request.socket.end("\u0000\u0001 this is not HTTP\r\n\r\n");
  else return null;
  return never();
}

function refuse(wishes: Wishes): Reply | null {
  if (wishes.has("refuse-429")) {
    const after = wishes.get("refuse-429") ?? "";
    const body = { message: "Too many requests. Please wait and try your request again." };
    return replyJson(429, body, after === "" ? {} : { "retry-after": after });
  }
  if (wishes.has("busy")) return replyJson(503, { message: BUSY_MESSAGE, experiment_id: "1", run_id: "0".repeat(32) });
  if (wishes.has("status")) {
    const status = numberOf(wishes, "status");
    return replyJson(status >= 200 && status <= 599 ? status : 500, { message: `Status ${status} as asked` });
  }
  return wishes.has("big") ? bigReply(numberOf(wishes, "big")) : null;
}

async function echo(call: Call): Promise<Reply> {
  await call.drain();
  const { method, url, rawHeaders } = call.request;
  return replyJson(200, { method, url, rawHeaders, bytes: call.bytesRead, sha256: call.bodySha256 });
}

async function swallow(call: Call, everyMs: number): Promise<Reply> {
  for await (const _chunk of call.chunks()) if (everyMs > 0) await pause(everyMs);
  return replyJson(200, { bytes: call.bytesRead, sha256: call.bodySha256 });
}

function bigReply(bytes: number): Reply {
  // Whole periods only, so that every piece starts at the same place of the pattern.
  const piece = Buffer.from(Array.from({ length: BIG_PERIOD * 260 }, (_, index) => index % BIG_PERIOD));
  async function* pieces() {
    for (let left = bytes; left > 0; left -= piece.length) yield piece.subarray(0, Math.min(left, piece.length));
  }
  return {
    status: 200,
    headers: { "content-type": "application/octet-stream", "content-length": String(bytes) },
    body: pieces(),
  };
}

async function* slowly(body: Reply["body"], everyMs: number): AsyncGenerator<Buffer> {
  const pieces = Buffer.isBuffer(body) ? inPieces(body, Math.max(1, Math.ceil(body.length / 16))) : body;
  for await (const piece of pieces) {
    yield piece;
    await pause(everyMs);
  }
}

/** The first `limit` bytes, or half of what is known to come, then `stop`. */
async function* upTo(body: Reply["body"], limit: number | null, stop: () => void): AsyncGenerator<Buffer> {
  const whole = Buffer.isBuffer(body);
  let left = limit ?? (whole ? Math.floor(body.length / 2) : 1);
  for await (const piece of whole ? inPieces(body) : body) {
    yield piece.subarray(0, left);
    left -= piece.length;
    if (left <= 0) break;
  }
  // What was yielded has to leave this process before the connection is reset.
  await pause(20);
  stop();
}

function addOddHeaders({ response }: Call): void {
  response.setHeader("Set-Cookie", ["a=1; Path=/", "b=2; Path=/x"]);
  response.setHeader("X-ODD-Case", "Kept As It Is");
  response.setHeader("x-latin1", "caf\u00e9");
  response.setHeader("x-request-id", "from-the-model-server");
}

function numberOf(wishes: Wishes, name: string): number {
  const value = Number(wishes.get(name) ?? 0);
  return Number.isFinite(value) && value >= 0 ? value : 0;
}
