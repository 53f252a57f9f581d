/** Prometheus metrics; the only importer of prom-client. Each process lists its own metrics in its `metrics.ts`. */
import { AggregatorRegistry, Counter, Gauge, Histogram, type MetricObject, Registry } from "prom-client";

export { Counter, Gauge, Histogram, type MetricObject, Registry };

/** Seconds, from half a millisecond to an hour: light requests, bulk jobs and trainings in one scale. */
export const DURATION_BUCKETS = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600,
];

export const METRICS_CONTENT_TYPE = Registry.PROMETHEUS_CONTENT_TYPE;

/** One text for several processes: counters and histograms are summed, gauges too unless their metric says otherwise. */
export function aggregateMetrics(perProcess: readonly MetricObject[][]): Promise<string> {
  return AggregatorRegistry.aggregate(perProcess as unknown as MetricObject[]).metrics();
}
