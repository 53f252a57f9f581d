import { closeSync, openSync, writeSync } from "node:fs";

/** What is remembered of one request. `sha256` is null while its body was not read to the end. */
export interface LoggedRequest {
  readonly method: string;
  readonly url: string;
  readonly requestId: string | null;
  readonly trackingId: string | null;
  readonly sha256: string | null;
  readonly bytes: number;
}

const MAX_REMEMBERED = 100_000;

/** Remembers requests so that tests can count how often something was sent. With a file, each is a line that survives `kill -9`. */
export class RequestLog {
  readonly #entries: LoggedRequest[] = [];
  #file: number | null;

  constructor(
    readonly enabled: boolean,
    path: string | null,
  ) {
    this.#file = path === null ? null : openSync(path, "a");
  }

  add(entry: LoggedRequest): void {
    if (this.enabled && this.#entries.length < MAX_REMEMBERED) this.#entries.push(entry);
    if (this.#file !== null) writeSync(this.#file, `${JSON.stringify(entry)}\n`);
  }

  get entries(): readonly LoggedRequest[] {
    return this.#entries;
  }

  close(): void {
    if (this.#file !== null) closeSync(this.#file);
    this.#file = null;
  }
}
