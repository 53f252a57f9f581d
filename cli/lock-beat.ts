/**
 * How a lock's owner shows that it lives to those who cannot see its process: in another container on the same volume, or on another
 * machine. It touches its lock every second; clocks are not compared, only whether the file's time moves.
 */
import { statSync, utimesSync } from "node:fs";
import { sleep } from "../core/runtime/clock.js";

const BEAT_MS = 1_000;
/** Silence after which it is taken for dead. */
const SILENT_MS = 6_000;
const LOOK_MS = 200;

export class LockBeat {
  readonly #path: string;
  #timer: NodeJS.Timeout | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  start(): void {
    this.#timer = setInterval(() => this.#touch(), BEAT_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #touch(): void {
    const now = new Date();
    try {
      utimesSync(this.#path, now, now);
    } catch {
      // The folder is gone, or its disk says nothing for now: the next beat tries again.
    }
  }
}

/** Resolves as soon as the file is touched; false after a silence of 6 s, or when it is gone. */
export async function beats(path: string): Promise<boolean> {
  const first = touchedMs(path);
  for (let waitedMs = 0; waitedMs < SILENT_MS; waitedMs += LOOK_MS) {
    await sleep(LOOK_MS);
    const now = touchedMs(path);
    if (now === null) return false;
    if (now !== first) return true;
  }
  return false;
}

function touchedMs(path: string): number | null {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? null;
}
