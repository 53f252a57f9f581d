import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { writeFileSafely } from "./files.js";

export type RunStatus = "RUNNING" | "FINISHED" | "FAILED" | "KILLED";

/** One training or evaluation, in the words of the tracker CMS uses. Times are milliseconds since 1970. */
export interface Run {
  readonly run_id: string;
  readonly run_name: string;
  readonly experiment_id: string;
  readonly start_time: number;
  status: RunStatus;
  end_time: number | null;
  readonly tags: Record<string, string>;
  /** Each metric's values over time. */
  readonly metrics: Record<string, number[]>;
  readonly concepts: string[];
}

interface Saved {
  readonly experiments: Record<string, string>;
  readonly runs: Run[];
}

const MAX_RUNS = 1_000;
const MAX_VALUES = 1_000;

/** Remembers runs, the newest thousand; with a data folder also over a restart. */
export class RunBook {
  readonly #file: string | null;
  readonly #saved: Saved;
  #writing: Promise<void> = Promise.resolve();

  constructor(dataDir: string | null) {
    this.#file = dataDir === null ? null : join(dataDir, "runs.json");
    if (dataDir !== null) mkdirSync(dataDir, { recursive: true });
    this.#saved = this.#load();
    for (const run of this.#saved.runs.filter(({ status }) => status === "RUNNING")) {
      run.tags.exception = "The server ended while this was running";
      endRun(run, "FAILED");
    }
  }

  start(name: string, experiment: string, tags: Record<string, string>): Run {
    const { experiments, runs } = this.#saved;
    experiments[experiment] ??= String(Object.keys(experiments).length + 1);
    const run: Run = {
      run_id: randomBytes(16).toString("hex"),
      run_name: name,
      experiment_id: experiments[experiment],
      start_time: Date.now(),
      status: "RUNNING",
      end_time: null,
      tags: { "mlflow.runName": name, ...tags },
      metrics: {},
      concepts: [],
    };
    runs.push(run);
    if (runs.length > MAX_RUNS) runs.shift();
    // A run goes on when it cannot be written down; its end will try again.
    this.#save().catch(() => {});
    return run;
  }

  /** Shows the end only when it is on disk, or could not be written. @throws Error in the latter case */
  finish(run: Run, status: RunStatus): Promise<void> {
    const ended = { ...run };
    endRun(ended, status);
    return this.#save(ended, () => Object.assign(run, ended));
  }

  /** Resolves when everything up to now is on disk, or could not be written. */
  async settle(): Promise<void> {
    await this.#writing.catch(() => {});
  }

  record(run: Run, metric: string, value: number): void {
    run.metrics[metric] ??= [];
    if (run.metrics[metric].length < MAX_VALUES) run.metrics[metric].push(value);
  }

  named(name: string): Run[] {
    return this.#saved.runs.filter((run) => run.run_name === name);
  }

  #load(): Saved {
    if (this.#file === null) return { experiments: {}, runs: [] };
    try {
      return JSON.parse(readFileSync(this.#file, "utf8")) as Saved;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return { experiments: {}, runs: [] };
      throw error;
    }
  }

  /** One write after the other, each with the state at its own time and `changed` in place of the run of its id. */
  #save(changed?: Run, then: () => void = () => {}): Promise<void> {
    this.#writing = this.#writing.catch(() => {}).then(() => this.#write(changed).finally(then));
    return this.#writing;
  }

  async #write(changed?: Run): Promise<void> {
    if (this.#file === null) return;
    const runs = this.#saved.runs.map((run) => (run.run_id === changed?.run_id ? changed : run));
    await writeFileSafely(this.#file, JSON.stringify({ ...this.#saved, runs }));
  }
}

function endRun(run: Run, status: RunStatus): void {
  run.status = status;
  run.end_time = Date.now();
}

/** A run as `/train_eval_info` shows it. */
export function describeRun(run: Run, artifactRoot: string) {
  const { run_id, run_name, experiment_id, status, start_time, end_time, tags } = run;
  return {
    run_id,
    run_uuid: run_id,
    run_name,
    experiment_id,
    user_id: "gazetteer",
    status,
    start_time,
    end_time,
    artifact_uri: `${artifactRoot}/${experiment_id}/${run_id}/artifacts`,
    lifecycle_stage: "active",
    tags,
  };
}
