/**
 * What this proxy has in flight straight to model servers, told to the sidecar, which stops no server that is in use (promise 4).
 *
 * The order that makes it safe: whoever decides by a route table that a model takes his request is counted in the same turn of the
 * event loop. A report is built a turn after the table it acknowledges was taken over, so what was decided by an older one is in it.
 */
import { randomUUID } from "node:crypto";
import type { PresenceReport } from "../core/contract/internal-api.js";
import type { ModelEntry } from "../core/contract/models.js";
import type { HttpClient } from "../core/runtime/http.js";
import type { RouteFollower } from "./route-table.js";

export interface PresenceOptions {
  readonly id: string;
  /** See {@link PresenceReport.localUrl}. */
  readonly localUrl: () => string;
  readonly routes: Pick<RouteFollower, "view" | "isConnected" | "onChange">;
  readonly client: HttpClient;
}

/** Requests and sockets of one server of a model. */
export interface Tally {
  readonly model: string;
  /** Null where Sluice has not started it. */
  readonly server: string | null;
  open: number;
  isUsed: boolean;
}

/** Reports are this far apart while what is in flight changes; a new route table, and a draining model's last request, wait for nothing. */
const PAUSE_MS = 250;
/** Before a report that did not arrive is made anew. Without a route stream it waits for that. */
const RETRY_MS = 500;
const CALL_MS = 5_000;
const GOODBYE_MS = 1_000;

/** Where a program on this machine reaches what listens there: on all addresses is on the loopback too. */
export function localUrlOf({ host, port }: { readonly host: string; readonly port: number }): string {
  if (host === "0.0.0.0" || host === "localhost") return `http://127.0.0.1:${port}`;
  if (host === "::") return `http://[::1]:${port}`;
  return `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

export function newProxyId(): string {
  return `${process.pid}-${randomUUID()}`;
}

export class Presence {
  readonly #options: PresenceOptions;
  readonly #tallies = new Map<string, Tally>();
  readonly #forget: () => void;
  readonly #over = new AbortController();
  #sequence = 0;
  /** Something is to be told that no report under way tells. */
  #hasNews = false;
  #isSending = false;
  #isDraining = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: PresenceOptions) {
    this.#options = options;
    this.#forget = options.routes.onChange(({ snapshot }) => {
      this.#isDraining = snapshot.models.some(({ state }) => state === "draining");
      this.#tellNow();
    });
  }

  /** To be called in the turn in which it was decided that the request goes to this server; the answer to {@link leave} at its end. */
  enter({ name, serverId }: Pick<ModelEntry, "name" | "serverId">): Tally {
    const tally = this.#tallyOf(name, serverId ?? null);
    tally.open += 1;
    tally.isUsed = true;
    if (!this.#hasNews) this.#tellSoon(PAUSE_MS);
    return tally;
  }

  #tallyOf(model: string, server: string | null): Tally {
    const key = `${model} ${server}`;
    let tally = this.#tallies.get(key);
    if (tally === undefined) {
      tally = { model, server, open: 0, isUsed: false };
      this.#tallies.set(key, tally);
    }
    return tally;
  }

  leave(tally: Tally): void {
    tally.open -= 1;
    if (tally.open === 0 && this.#isDraining) this.#tellNow();
    else if (!this.#hasNews) this.#tellSoon(PAUSE_MS);
  }

  /** Says goodbye: what is in flight has ended or was cut. */
  async stop(): Promise<void> {
    this.#forget();
    this.#over.abort();
    clearTimeout(this.#timer);
    this.#tallies.clear();
    await this.#send(this.#report(true), GOODBYE_MS);
  }

  #tellSoon(pauseMs: number): void {
    this.#hasNews = true;
    if (this.#isSending || this.#over.signal.aborted) return;
    this.#timer = setTimeout(() => void this.#tell(), pauseMs);
    this.#timer.unref();
  }

  #tellNow(): void {
    this.#hasNews = true;
    if (this.#isSending || this.#over.signal.aborted) return;
    clearTimeout(this.#timer);
    // A turn later: whoever decided by the table before is counted by then.
    setImmediate(() => void this.#tell());
  }

  /** One report after the other, each with the newest state. */
  async #tell(): Promise<void> {
    if (this.#isSending || !this.#hasNews || this.#over.signal.aborted) return;
    clearTimeout(this.#timer);
    this.#isSending = true;
    this.#hasNews = false;
    const report = this.#report(false);
    const hasArrived = await this.#send(report, CALL_MS);
    this.#isSending = false;
    if (!hasArrived) this.#rememberUse(report);
    if (!hasArrived && this.#options.routes.isConnected) this.#tellSoon(RETRY_MS);
    else if (this.#hasNews) this.#isUrgent(report) ? this.#tellNow() : this.#tellSoon(PAUSE_MS);
  }

  #isUrgent({ version, epoch }: PresenceReport): boolean {
    const { snapshot } = this.#options.routes.view;
    return this.#isDraining || snapshot.version !== version || snapshot.epoch !== epoch;
  }

  #report(isLeaving: boolean): PresenceReport {
    const { epoch, version } = this.#options.routes.view.snapshot;
    const inFlight: Record<string, number> = {};
    const servers: Record<string, number> = {};
    const used = new Set<string>();
    for (const [key, tally] of this.#tallies) {
      const { model, server, open } = tally;
      if (tally.isUsed) used.add(model);
      tally.isUsed = false;
      if (open === 0) this.#tallies.delete(key);
      else inFlight[model] = (inFlight[model] ?? 0) + open;
      if (open > 0 && server !== null) servers[server] = open;
    }
    this.#sequence += 1;
    const { id: proxy, localUrl } = this.#options;
    const at = { proxy, localUrl: localUrl(), epoch, version, sequence: this.#sequence };
    return { ...at, inFlight, servers, used: [...used], isLeaving };
  }

  #rememberUse({ used }: PresenceReport): void {
    for (const model of used) this.#tallyOf(model, null).isUsed = true;
  }

  async #send(report: PresenceReport, withinMs: number): Promise<boolean> {
    try {
      const answer = await this.#options.client.call({
        method: "POST",
        origin: "http://sidecar",
        path: "/internal/presence",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(report),
        headersTimeoutMs: withinMs,
        ...(report.isLeaving ? {} : { signal: this.#over.signal }),
      });
      await answer.body.dump();
      return answer.status < 300;
    } catch {
      // It is made anew with the newest state; the sidecar counts what it has not heard of as held.
      return false;
    }
  }
}
