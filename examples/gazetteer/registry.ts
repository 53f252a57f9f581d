import { createHash } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";

/** A registry's answers are short; a body that is not is none of its. */
const MAX_ANSWER_BYTES = 64 * 1024;
/** For one try: connecting, sending, and the registry's own work on it. */
const TRY_MS = 120_000;
/** The registry may be starting anew: it is given this long, with pauses from the first to the longest. */
const GIVE_UP_MS = 60_000;
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 5_000;

interface Registered {
  readonly version_number: number;
  readonly sha256: string;
}

/** The registry does not take it: another try would not help. */
class Refused extends Error {}

/** One model's place in a registry of models, spoken to over HTTP: `http://…/registry/models/<name>`. */
export class RegistryPlace {
  readonly #url: string;
  readonly #model: string;

  /** @throws Error when it is no such place */
  constructor(
    url: string,
    readonly giveUpMs = GIVE_UP_MS,
  ) {
    const [, model] = /^https?:\/\/[^/?#\s@]+\/(?:[^?#\s]*\/)?models\/([^/?#\s]+)\/?$/u.exec(url) ?? [];
    if (model === undefined) throw new Error("--registry must be http://<host>/…/models/<name>");
    this.#url = url.replace(/\/$/u, "");
    this.#model = model;
  }

  /**
   * Uploads a new version and has it checked on the way. Tries again while the registry is away.
   * @returns its URI
   * @throws Error in words, when it was refused or the registry stayed away; the signal's reason
   */
  async register(content: Buffer, signal: AbortSignal): Promise<string> {
    const sha256 = createHash("sha256").update(content).digest("hex");
    const untilMs = performance.now() + this.giveUpMs;
    for (let pauseMs = FIRST_PAUSE_MS, tries = 0; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS), tries++) {
      try {
        // An upload whose answer was lost may be there: the same bytes are not registered twice.
        const there = tries === 0 ? null : await this.#newest(signal);
        const version = there?.sha256 === sha256 ? there : await this.#upload(content, sha256, signal);
        if (version.sha256 !== sha256) throw new Refused("it keeps other bytes than were sent");
        return `sluice://${this.#model}/${version.version_number}`;
      } catch (error) {
        signal.throwIfAborted();
        const why = describe(error);
        if (error instanceof Refused) throw new Error(`The registry did not take the new version: ${why}`);
        if (performance.now() + pauseMs > untilMs) throw new Error(`The registry cannot be reached: ${why}`);
        await pause(pauseMs, undefined, { signal }).catch(() => {});
      }
    }
  }

  async #upload(content: Buffer, sha256: string, signal: AbortSignal): Promise<Registered> {
    const answer = await this.#ask("versions?create=true", signal, {
      method: "POST",
      headers: {
        "content-type": "application/octet-stream",
        "repr-digest": `sha-256=:${Buffer.from(sha256, "hex").toString("base64")}:`,
      },
      body: content,
    });
    if (answer.status !== 201) throw answer.problem;
    return read(answer.json);
  }

  /** Null where there is none. */
  async #newest(signal: AbortSignal): Promise<Registered | null> {
    const answer = await this.#ask("versions/latest", signal, {});
    if (answer.status === 404) return null;
    if (answer.status !== 200) throw answer.problem;
    return read(answer.json);
  }

  async #ask(path: string, signal: AbortSignal, init: RequestInit) {
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(TRY_MS)]);
    const answer = await fetch(`${this.#url}/${path}`, { ...init, redirect: "error", signal: bounded });
    const json = parse(await readShort(answer));
    const words = String((json as { detail?: unknown } | null)?.detail ?? "").slice(0, 300);
    const told = `${answer.status}${words === "" ? "" : ` ${words}`}`;
    const isPassing = answer.status >= 500 || answer.status === 408 || answer.status === 429;
    return { status: answer.status, json, problem: isPassing ? new Error(told) : new Refused(told) };
  }
}

async function readShort(answer: Response): Promise<string> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of answer.body ?? []) {
    bytes += piece.length;
    if (bytes > MAX_ANSWER_BYTES) throw new Refused("its answer is too long");
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString("utf8");
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function read(json: unknown): Registered {
  const { version_number: number, sha256 } = (json ?? {}) as Partial<Registered>;
  if (!Number.isSafeInteger(number) || typeof sha256 !== "string") throw new Refused("its answer is not understood");
  return { version_number: number!, sha256 };
}

/** What fetch throws says little; its cause has the system's word. */
function describe(error: unknown): string {
  const { message, cause } = error as Error & { cause?: { code?: string } };
  return cause?.code ?? message;
}
