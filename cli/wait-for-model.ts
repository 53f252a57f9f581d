/** Waits until a model is ready, and shows how far it is. */
import type { ModelEvent } from "../core/contract/model-management.js";
import type { SluiceClient } from "./client.js";
import { CliError, EXIT } from "./exit.js";
import { followModels } from "./model-events.js";
import { drawBar, formatSeconds, StatusLine } from "./terminal.js";
import type { WaitOptions } from "./wait.js";

const REDRAW_MS = 250;

/** @throws CliError `failed` when the start failed, `timedOut`, `interrupted`, `unreachable` */
export async function waitUntilReady(client: SluiceClient, name: string, options: WaitOptions): Promise<void> {
  const { timeoutMs, signal, awayMs } = options;
  const timeout = new AbortController();
  const timer = timeoutMs === null ? undefined : setTimeout(() => timeout.abort(), Math.min(timeoutMs, 2 ** 31 - 1));
  const progress = new LoadProgress(name);
  let last: ModelEvent | undefined;
  let hasStarted = false;
  try {
    await followModels(client, name, {
      signal: AbortSignal.any([signal, timeout.signal]),
      ...(awayMs === undefined ? {} : { awayMs }),
      onAway: () => progress.away(),
      onEvent(event) {
        last = event;
        progress.show(event);
        hasStarted ||= event.state === "starting";
        return event.state === "ready" || event.state === "failed" || (hasStarted && event.state === "absent");
      },
    });
  } catch (caught) {
    const hint = `It goes on. Look again with: sluice models show ${name}`;
    if (signal.aborted) throw new CliError(EXIT.interrupted, `stopped waiting for ${name}`, { hint });
    if (timeout.signal.aborted) throw new CliError(EXIT.timedOut, `${name} is not ready yet`, { hint });
    throw caught;
  } finally {
    clearTimeout(timer);
    progress.end();
  }
  if (last?.state === "ready") return;
  const why = last?.state === "failed" ? `did not start: ${last.problem ?? "no reason given"}` : "was stopped again";
  throw new CliError(EXIT.failed, `${name} ${why}`, { hint: `Its own words: sluice models logs ${name}` });
}

/** One line that is written over while the model loads. */
class LoadProgress {
  readonly #line = new StatusLine();
  readonly #name: string;
  readonly #timer: NodeJS.Timeout;
  #event: ModelEvent | undefined;
  #heardAtMs = Date.now();

  constructor(name: string) {
    this.#name = name;
    this.#timer = setInterval(() => this.#draw(), REDRAW_MS);
  }

  show(event: ModelEvent): void {
    this.#event = event;
    this.#heardAtMs = Date.now();
    this.#draw();
  }

  away(): void {
    this.#event = undefined;
    this.#line.show("Sluice is away; trying again");
  }

  end(): void {
    clearInterval(this.#timer);
    this.#line.clear();
  }

  #draw(): void {
    if (this.#event === undefined) return;
    this.#line.show(describeLoad(this.#name, this.#event, (Date.now() - this.#heardAtMs) / 1_000));
  }
}

const BAR_WIDTH = 24;

/** What is shown of a model's start, some seconds after the event. Pure. */
export function describeLoad(name: string, event: ModelEvent, secondsSince: number): string {
  const { state, problem, started_seconds, expected_seconds } = event;
  const waitsFor = problem === null ? "" : `  ${problem}`;
  if (state !== "starting") return `${name} is ${state}${waitsFor}`;
  if (started_seconds === null) return `Starting ${name}${waitsFor}`;
  const seconds = started_seconds + secondsSince;
  const passed = formatSeconds(seconds);
  if (expected_seconds === null || expected_seconds <= 0) return `Starting ${name}  ${passed}${waitsFor}`;
  const usual = formatSeconds(expected_seconds);
  // Only an answer makes it whole.
  const bar = drawBar(Math.min(seconds / expected_seconds, 0.99), BAR_WIDTH);
  const words =
    seconds > expected_seconds ? `${passed}, longer than ever (${usual})` : `${passed}, the longest took ${usual}`;
  return `Starting ${name} ${bar}  ${words}${waitsFor}`;
}
