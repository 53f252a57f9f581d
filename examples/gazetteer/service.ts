import { Annotator } from "./annotate.js";
import type { Options } from "./flags.js";
import { Metrics } from "./metrics.js";
import { PATTERNS } from "./patterns.js";
import { RateLimit } from "./rate-limit.js";
import { RequestLog } from "./request-log.js";
import { BUILT_IN_TERMS, type Term } from "./terms.js";

const DE_IDENTIFICATION_TYPES: readonly string[] = ["medcat_deid", "anoncat", "transformers_deid"];

/** Everything the routes share: one model, its limits and its records. */
export class Service {
  readonly metrics = new Metrics();
  readonly requests: RequestLog;
  readonly rateLimit: RateLimit;
  /** CMS reports `anoncat` for a service that was started as `medcat_deid`. */
  readonly modelType: string;
  readonly deIdentifies: boolean;
  annotator: Annotator;

  constructor(readonly options: Options) {
    this.modelType = options.modelType === "medcat_deid" ? "anoncat" : options.modelType;
    this.deIdentifies = DE_IDENTIFICATION_TYPES.includes(this.modelType);
    this.annotator = new Annotator(this.#startingTerms());
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

  async stop(): Promise<void> {
    this.requests.close();
  }

  #startingTerms(): readonly Term[] {
    return this.deIdentifies ? [] : BUILT_IN_TERMS;
  }
}
