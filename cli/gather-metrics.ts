/** One Prometheus text for all processes: the proxies' metrics summed, the sidecar's beside them, the supervisor's own on top. */
import { createHttpClient, type HttpClient } from "../core/runtime/http.js";
import { aggregateMetrics, Counter, Gauge, type MetricObject, Registry } from "../core/runtime/metrics.js";
import type { MetricsReply } from "./ipc.js";
import type { Part } from "./part.js";

/** A part that does not answer in this time is left out; `sluice_up` says so. */
const ANSWER_TIMEOUT_MS = 1_000;

export interface GathererOptions {
  readonly sidecar: Part;
  readonly proxies: readonly Part[];
  readonly socketPath: string;
}

interface Round {
  readonly waitingFor: Set<Part>;
  readonly metrics: MetricObject[][];
  readonly done: () => void;
}

export class MetricsGatherer {
  readonly #options: GathererOptions;
  readonly #http: HttpClient;
  readonly #rounds = new Map<number, Round>();
  #nextId = 1;
  #current: Promise<string> | undefined;

  constructor(options: GathererOptions) {
    this.#options = options;
    this.#http = createHttpClient({ socketPath: options.socketPath, connectTimeoutMs: ANSWER_TIMEOUT_MS });
  }

  /** Everybody's metrics as text, within about a second. Questions that come while one is being answered share its answer. */
  gather(): Promise<string> {
    this.#current ??= this.#gather().finally(() => {
      this.#current = undefined;
    });
    return this.#current;
  }

  /** Takes one proxy's answer. */
  collect(part: Part, reply: MetricsReply): void {
    const round = this.#rounds.get(reply.id);
    if (round?.waitingFor.delete(part) !== true) return;
    round.metrics.push(reply.metrics);
    if (round.waitingFor.size === 0) round.done();
  }

  close(): Promise<void> {
    return this.#http.close();
  }

  async #gather(): Promise<string> {
    const [proxies, sidecar, own] = await Promise.all([this.#askProxies(), this.#askSidecar(), this.#describeOwn()]);
    return joinMetrics([own, proxies, sidecar]);
  }

  async #askProxies(): Promise<string> {
    const asked = this.#options.proxies.filter((proxy) => proxy.isReady);
    if (asked.length === 0) return "";
    const id = this.#nextId++;
    const metrics: MetricObject[][] = [];
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ANSWER_TIMEOUT_MS);
      const done = () => {
        clearTimeout(timer);
        resolve();
      };
      this.#rounds.set(id, { waitingFor: new Set(asked), metrics, done });
      for (const proxy of asked) proxy.send({ type: "metrics-get", id });
    });
    this.#rounds.delete(id);
    return aggregateMetrics(metrics);
  }

  async #askSidecar(): Promise<string> {
    try {
      const answer = await this.#http.call({
        method: "GET",
        origin: "http://sidecar",
        path: "/internal/metrics",
        signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
      });
      if (answer.status === 200) return await answer.body.text();
      await answer.body.dump();
    } catch {
      // Away or silent: its metrics are missing, and sluice_up shows whether it runs.
    }
    return "";
  }

  #describeOwn(): Promise<string> {
    const registry = new Registry();
    const up = new Gauge({
      name: "sluice_up",
      help: "1 while the part is ready",
      labelNames: ["part"],
      registers: [registry],
    });
    const restarts = new Counter({
      name: "sluice_restarts_total",
      help: "Times the part died and was started again",
      labelNames: ["part"],
      registers: [registry],
    });
    for (const part of [this.#options.sidecar, ...this.#options.proxies]) {
      up.set({ part: part.name }, part.isReady ? 1 : 0);
      restarts.inc({ part: part.name }, part.restarts);
    }
    return registry.metrics();
  }
}

/** Joins Prometheus texts so that a family named in several of them stands once, with all its samples. */
function joinMetrics(texts: readonly string[]): string {
  const families = new Map<string, string[]>();
  for (const text of texts) {
    let lines: string[] = [];
    for (const line of text.split("\n")) {
      const name = /^# HELP (\S+)/.exec(line)?.[1];
      if (name !== undefined) {
        const known = families.get(name);
        lines = known ?? [line];
        if (known === undefined) families.set(name, lines);
      } else if (line !== "" && !(line.startsWith("# TYPE") && lines.includes(line))) {
        lines.push(line);
      }
    }
  }
  return `${[...families.values()].map((lines) => lines.join("\n")).join("\n\n")}\n`;
}
