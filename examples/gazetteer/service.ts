import { basename, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { Annotator } from "./annotate.js";
import { EventHub } from "./event-hub.js";
import type { Options } from "./flags.js";
import { Metrics } from "./metrics.js";
import { PATTERNS } from "./patterns.js";
import { RateLimit } from "./rate-limit.js";
import { RegistryPlace } from "./registry.js";
import { RequestLog } from "./request-log.js";
import { RunBook } from "./runs.js";
import { BUILT_IN_TERMS, type Term } from "./terms.js";
import { Trainer, type Work } from "./trainer.js";
import { encodeVersion, nextVersion, readVersion, writeVersion } from "./versions.js";

const DE_IDENTIFICATION_TYPES: readonly string[] = ["medcat_deid", "anoncat", "transformers_deid"];

/** Everything the routes share: one model, its limits and its records. */
export class Service {
  readonly metrics = new Metrics();
  readonly events = new EventHub();
  readonly requests: RequestLog;
  readonly rateLimit: RateLimit;
  /** CMS reports `anoncat` for a service that was started as `medcat_deid`. */
  readonly modelType: string;
  readonly deIdentifies: boolean;
  readonly runs: RunBook;
  readonly trainer: Trainer;
  annotator: Annotator;
  readonly #registry: RegistryPlace | null;
  /** The newest version's number as its own file says it; 0 for the built-in list. */
  #version = 0;

  /** @throws Error when there is no version at `--model-path`, or no place at `--registry` */
  constructor(readonly options: Options) {
    this.modelType = options.modelType === "medcat_deid" ? "anoncat" : options.modelType;
    this.deIdentifies = DE_IDENTIFICATION_TYPES.includes(this.modelType);
    this.annotator = new Annotator(this.#startingTerms());
    this.#registry = options.registry === null ? null : new RegistryPlace(options.registry);
    this.runs = new RunBook(options.dataDir);
    this.trainer = new Trainer(this.runs, { docMs: options.trainDocMs, failAfter: options.trainFailAfter });
    this.requests = new RequestLog(options.misbehave, options.requestLog);
    this.rateLimit = new RateLimit(options.rateLimit);
  }

  card() {
    return {
      api_version: "0.3.0",
      model_type: this.modelType,
      model_description: `${this.options.name}: a gazetteer of ${this.annotator.terms.length} terms and ${PATTERNS.length} patterns`,
      model_card: null,
      labels: this.deIdentifies ? Object.fromEntries(PATTERNS.map(({ id, name }) => [id, name])) : null,
    };
  }

  /** Where a run's artefacts would lie; only a name when there is no data folder. */
  get artifactRoot(): string {
    return this.options.dataDir === null ? "memory:/runs" : pathToFileURL(resolve(this.options.dataDir, "runs")).href;
  }

  /**
   * Serves with what was learned from now on, and keeps it as a new version where there is a data folder or a registry.
   * @throws Error when it cannot be kept, in words; nothing else is served then, and what lies in the data folder stays
   */
  async adopt(terms: readonly Term[], { run, signal }: Pick<Work, "run" | "signal">): Promise<void> {
    const uri = await this.#keep(terms, signal);
    if (uri !== null) {
      run.tags["training.output.package"] = basename(uri);
      run.tags["training.output.model_uri"] = uri;
      run.tags["training.output.model_type"] = this.modelType;
    }
    this.annotator = new Annotator(terms);
  }

  /** @returns the new version's URI, the registry's where there is one; null where it is kept nowhere */
  async #keep(terms: readonly Term[], signal: AbortSignal): Promise<string | null> {
    const { dataDir, name } = this.options;
    if (dataDir === null && this.#registry === null) return null;
    const next = Math.max(this.#version + 1, dataDir === null ? 1 : await nextVersion(dataDir));
    const content = encodeVersion({ name, model_type: this.modelType, version: next, terms });
    const file = dataDir === null ? null : await writeVersion(dataDir, name, next, content);
    this.#version = next;
    return this.#registry === null ? file : this.#registry.register(content, signal);
  }

  /** Running jobs end as KILLED, and that is written down. */
  async stop(): Promise<void> {
    await this.trainer.stop();
    this.requests.close();
  }

  #startingTerms(): readonly Term[] {
    if (this.options.modelPath !== null) {
      const { version, terms } = readVersion(this.options.modelPath);
      this.#version = Number.isSafeInteger(version) ? version : 0;
      return terms;
    }
    return this.deIdentifies ? [] : BUILT_IN_TERMS;
  }
}
