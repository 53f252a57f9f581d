import { basename, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { Annotator } from "./annotate.js";
import { EventHub } from "./event-hub.js";
import type { Options } from "./flags.js";
import { Metrics } from "./metrics.js";
import { PATTERNS } from "./patterns.js";
import { RateLimit } from "./rate-limit.js";
import { RequestLog } from "./request-log.js";
import { type Run, RunBook } from "./runs.js";
import { BUILT_IN_TERMS, type Term } from "./terms.js";
import { Trainer } from "./trainer.js";
import { readVersion, writeVersion } from "./versions.js";

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

  constructor(readonly options: Options) {
    this.modelType = options.modelType === "medcat_deid" ? "anoncat" : options.modelType;
    this.deIdentifies = DE_IDENTIFICATION_TYPES.includes(this.modelType);
    this.annotator = new Annotator(this.#startingTerms());
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

  /** Serves with what was learned from now on, and keeps it as a new version when there is a data folder. */
  async adopt(terms: readonly Term[], run: Run): Promise<void> {
    const { dataDir, name } = this.options;
    if (dataDir !== null) {
      const uri = await writeVersion(dataDir, { name, model_type: this.modelType, terms });
      run.tags["training.output.package"] = basename(uri);
      run.tags["training.output.model_uri"] = uri;
      run.tags["training.output.model_type"] = this.modelType;
    }
    this.annotator = new Annotator(terms);
  }

  /** Running jobs end as KILLED, and that is written down. */
  async stop(): Promise<void> {
    await this.trainer.stop();
    this.requests.close();
  }

  #startingTerms(): readonly Term[] {
    if (this.options.modelPath !== null) return readVersion(this.options.modelPath).terms;
    return this.deIdentifies ? [] : BUILT_IN_TERMS;
  }
}
