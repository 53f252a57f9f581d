/** A model's events, followed across a lost connection. */
import type { ModelEvent } from "../core/contract/model-management.js";
import { sleep } from "../core/runtime/clock.js";
import type { SluiceClient } from "./client.js";
import { readEvents } from "./events.js";
import { CliError } from "./exit.js";
import { AWAY_MS, FIRST_PAUSE_MS, isAway, LONGEST_PAUSE_MS, SILENCE_MS } from "./wait.js";

export interface FollowOptions {
  readonly signal: AbortSignal;
  /** True: that was the last one. */
  readonly onEvent: (event: ModelEvent) => boolean;
  /** Sluice is away; it is tried again. */
  readonly onAway: () => void;
  /** Sluice may be away this long. Default a minute. */
  readonly awayMs?: number;
}

/**
 * Ends when `onEvent` says so.
 * @param name null: of all models
 * @throws the signal's reason; CliError when there is no such model, or Sluice stays away
 */
export async function followModels(client: SluiceClient, name: string | null, options: FollowOptions): Promise<void> {
  const { signal, onEvent, onAway, awayMs = AWAY_MS } = options;
  const path = name === null ? "/admin/models/events" : `/admin/models/${encodeURIComponent(name)}/events`;
  let lastHeardMs = Date.now();
  let pauseMs = FIRST_PAUSE_MS;
  for (;;) {
    try {
      const headers = { accept: "text/event-stream" };
      const answer = await client.call({ path, headers, silenceMs: SILENCE_MS, signal });
      lastHeardMs = Date.now();
      for await (const event of readEvents<ModelEvent>(answer.body)) {
        lastHeardMs = Date.now();
        pauseMs = FIRST_PAUSE_MS;
        if (onEvent(event)) return;
      }
    } catch (caught) {
      signal.throwIfAborted();
      const failure = caught instanceof CliError ? caught : client.explain(caught);
      if (!isAway(failure) || Date.now() - lastHeardMs > awayMs) throw failure;
      onAway();
    }
    await sleep(pauseMs, signal);
    signal.throwIfAborted();
    pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
  }
}
