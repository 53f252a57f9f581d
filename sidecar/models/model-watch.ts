/** What happens to model servers, as operators see it: the present state, then every change. */
import type { ModelEvent } from "../../core/contract/model-management.js";
import type { ModelEntry } from "../../core/contract/models.js";
import type { Clock } from "../../core/runtime/clock.js";
import type { ModelCatalogue } from "./catalogue.js";

export interface ModelWatchOptions {
  readonly catalogue: Pick<ModelCatalogue, "list" | "onChange">;
  /** Milliseconds since its launch, of one that starts; else null. */
  readonly startedForMs: (name: string) => number | null;
  /** The longest known start of a model; null when there is none. */
  readonly longestStartMs: (name: string) => number | null;
  readonly clock: Pick<Clock, "now">;
}

/** @param name null: all models. The answer unsubscribes. */
export function watchModels(
  options: ModelWatchOptions,
  name: string | null,
  listener: (event: ModelEvent) => void,
): () => void {
  const { catalogue } = options;
  let known = new Map<string, string>();
  const look = (models: readonly ModelEntry[]) => {
    const present = models.filter((each) => name === null || each.name === name);
    const seen = new Map(present.map((each) => [each.name, `${each.state} ${each.problem ?? ""}`]));
    for (const entry of present) {
      if (known.get(entry.name) !== seen.get(entry.name)) listener(describe(options, entry));
    }
    // A model that is no longer there has no state; for whoever watches it has ended.
    for (const gone of known.keys()) {
      if (!seen.has(gone)) listener(event(options, { model: gone, state: "absent", problem: null }));
    }
    known = seen;
  };
  look(catalogue.list());
  return catalogue.onChange(look);
}

function describe(options: ModelWatchOptions, { name, state, problem }: ModelEntry): ModelEvent {
  return event(options, { model: name, state, problem });
}

function event(
  { clock, startedForMs, longestStartMs }: ModelWatchOptions,
  what: Pick<ModelEvent, "model" | "state" | "problem">,
): ModelEvent {
  const isStarting = what.state === "starting";
  return {
    ...what,
    at: new Date(clock.now()).toISOString(),
    started_seconds: isStarting ? seconds(startedForMs(what.model)) : null,
    expected_seconds: isStarting ? seconds(longestStartMs(what.model)) : null,
  };
}

function seconds(ms: number | null): number | null {
  return ms === null ? null : Math.round(ms / 100) / 10;
}
