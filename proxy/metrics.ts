/**
 * What this process counts. Kept in plain fields and turned into Prometheus' shape when asked: prom-client hashes labels on every
 * update, which costs the light path more than everything else Sluice does there.
 *
 * | name | labels | meaning |
 * | --- | --- | --- |
 * | `gateway_requests_total` | method, endpoint | answered requests (CMG's name) |
 * | `sluice_requests_total` | method, endpoint, status | the same with the status; 499 is a client that left |
 * | `gateway_tasks_processed_total` | model, task | accepted tasks, and `info` requests (CMG's name) |
 * | `sluice_gateway_seconds` | | a forwarded request's time in Sluice itself |
 * | `sluice_upstream_seconds` | model | from sending to the answer's end |
 * | `sluice_queue_wait_seconds` | | a gated request's wait for its permit |
 * | `sluice_in_flight_requests`, `sluice_sidecar_up` | | now |
 */
import { TASK_TYPES } from "../core/contract/routes.js";
import { DURATION_BUCKETS, type MetricObject } from "../core/runtime/metrics.js";

/** Paths of model servers that get a series of their own; every other one shares `*`, so that no client can invent series. */
const NAMED_PATHS: ReadonlySet<string> = new Set([
  ...Object.values(TASK_TYPES).map((each) => each.path),
  ..."/ /docs /openapi.json /metrics /healthz /readyz /cancel_training /train_eval_info /train_eval_metrics".split(" "),
  ..."/stream/process /stream/ws /stream/sse/events /stream/sse/process /stream/generate /generate".split(" "),
  ..."/v1/embeddings /openai/v1/chat/completions /openai/v1/completions /openai/v1/embeddings".split(" "),
]);

interface Value {
  readonly value: number;
  readonly labels: Record<string, string | number>;
  readonly metricName?: string;
}

class Histogram {
  readonly #counts = new Float64Array(DURATION_BUCKETS.length + 1);
  #sum = 0;

  observe(seconds: number): void {
    let bucket = 0;
    while (bucket < DURATION_BUCKETS.length && seconds > DURATION_BUCKETS[bucket]!) bucket += 1;
    this.#counts[bucket]! += 1;
    this.#sum += seconds;
  }

  values(name: string, labels: Record<string, string>): Value[] {
    const values: Value[] = [];
    let count = 0;
    this.#counts.forEach((each, index) => {
      count += each;
      const le = DURATION_BUCKETS[index] ?? "+Inf";
      values.push({ value: count, labels: { le, ...labels }, metricName: `${name}_bucket` });
    });
    values.push({ value: this.#sum, labels, metricName: `${name}_sum` });
    values.push({ value: count, labels, metricName: `${name}_count` });
    return values;
  }
}

/** Counts of one endpoint: method → status → requests. */
type EndpointCounts = Map<string, Map<number, number>>;

export class ProxyMetrics {
  readonly #endpoints = new Map<string, EndpointCounts>();
  /** Model → path → its endpoint's counts, so that a light request costs look-ups and no string. */
  readonly #modelEndpoints = new Map<string, Map<string, EndpointCounts>>();
  readonly #tasks = new Map<string, { model: string; task: string; count: number }>();
  readonly #upstream = new Map<string, Histogram>();
  readonly #gateway = new Histogram();
  readonly #queueWait = new Histogram();

  /** @param model a name from the snapshot, or `unknown` */
  countModelRequest(model: string, path: string, method: string, status: number): void {
    const paths = getOrMake(this.#modelEndpoints, model, () => new Map<string, EndpointCounts>());
    const named = NAMED_PATHS.has(path) ? path : "/*";
    count(
      getOrMake(paths, named, () => this.#endpoint(`/models/${model}${named}`)),
      method,
      status,
    );
  }

  /** @param endpoint a template out of a fixed set */
  countRequest(endpoint: string, method: string, status: number): void {
    count(this.#endpoint(endpoint), method, status);
  }

  countTask(model: string, task: string): void {
    const key = `${model} ${task}`;
    const known = this.#tasks.get(key);
    if (known === undefined) this.#tasks.set(key, { model, task, count: 1 });
    else known.count += 1;
  }

  observe(model: string, gatewayMs: number, upstreamMs: number): void {
    this.#gateway.observe(Math.max(gatewayMs, 0) / 1_000);
    getOrMake(this.#upstream, model, () => new Histogram()).observe(upstreamMs / 1_000);
  }

  observeQueueWait(ms: number): void {
    this.#queueWait.observe(ms / 1_000);
  }

  /** Forgets series of models that are gone, so that names that come and go do not pile up. */
  retain(models: ReadonlySet<string>): void {
    for (const [key, { model }] of this.#tasks) if (!models.has(model) && model !== "unknown") this.#tasks.delete(key);
    for (const model of this.#upstream.keys()) if (!models.has(model)) this.#upstream.delete(model);
    for (const [model, paths] of this.#modelEndpoints) {
      if (models.has(model) || model === "unknown") continue;
      for (const path of paths.keys()) this.#endpoints.delete(`/models/${model}${path}`);
      this.#modelEndpoints.delete(model);
    }
  }

  /** Everything, in the form that processes send each other. */
  collect(now: { readonly inFlight: number; readonly isSidecarUp: boolean }): MetricObject[] {
    const requests: Value[] = [];
    const byStatus: Value[] = [];
    for (const [endpoint, methods] of this.#endpoints) {
      for (const [method, statuses] of methods) {
        let total = 0;
        for (const [status, value] of statuses) {
          total += value;
          byStatus.push({ value, labels: { method, endpoint, status } });
        }
        requests.push({ value: total, labels: { method, endpoint } });
      }
    }
    const tasks = [...this.#tasks.values()].map(({ model, task, count: value }) => ({
      value,
      labels: { model, task },
    }));
    const upstream = [...this.#upstream].flatMap(([model, each]) => each.values("sluice_upstream_seconds", { model }));
    return [
      metric("gateway_requests_total", "Answered requests", "counter", requests),
      metric("sluice_requests_total", "Answered requests with their status", "counter", byStatus),
      metric("gateway_tasks_processed_total", "Accepted tasks and info requests", "counter", tasks),
      metric(
        "sluice_gateway_seconds",
        "A forwarded request's time in Sluice itself",
        "histogram",
        this.#gateway.values("sluice_gateway_seconds", {}),
      ),
      metric("sluice_upstream_seconds", "From sending to the end of the answer", "histogram", upstream),
      metric(
        "sluice_queue_wait_seconds",
        "A gated request's wait for its permit",
        "histogram",
        this.#queueWait.values("sluice_queue_wait_seconds", {}),
      ),
      metric("sluice_in_flight_requests", "Requests being forwarded", "gauge", [{ value: now.inFlight, labels: {} }]),
      metric("sluice_sidecar_up", "1 while the route table is followed", "gauge", [
        { value: now.isSidecarUp ? 1 : 0, labels: {} },
      ]),
    ];
  }

  #endpoint(endpoint: string): EndpointCounts {
    return getOrMake(this.#endpoints, endpoint, () => new Map());
  }
}

function getOrMake<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}

function count(counts: EndpointCounts, method: string, status: number): void {
  const statuses = getOrMake(counts, method, () => new Map<number, number>());
  statuses.set(status, (statuses.get(status) ?? 0) + 1);
}

function metric(name: string, help: string, type: "counter" | "gauge" | "histogram", values: Value[]): MetricObject {
  const aggregator = name === "sluice_sidecar_up" ? "min" : "sum";
  return { name, help, type, values, aggregator } as unknown as MetricObject;
}
