/** Metrics of the model registry. Labels are the contract's own words: never a model's id. */
import { Counter, Gauge, Histogram, type Registry } from "../../core/runtime/metrics.js";
import type { RegistrationState } from "./directory/registration.js";
import type { RegistryServerMetrics } from "./grpc.js";
import type { RegistryTotals } from "./open-registry.js";
import type { Registry as ModelRegistry } from "./registry.js";

export interface RegistryMetrics extends RegistryServerMetrics {
  close(): void;
}

export interface MetricsSource {
  totals(): RegistryTotals;
  open(): { readonly connections: number; readonly watchers: number };
  registration(): RegistrationState | null;
  readonly onChange: ModelRegistry["onChange"];
}

/** Calls last from a millisecond to hours: a watcher's, for one. */
const CALL_BUCKETS = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10, 60, 600, 3_600];

const KINDS = ["archived", "transient"] as const;

export function createRegistryMetrics(registry: Registry, source: MetricsSource): RegistryMetrics {
  const registers = [registry];
  const calls = new Counter({
    name: "sluice_registry_calls_total",
    help: "gRPC calls that ended, by method and status",
    labelNames: ["method", "status"],
    registers,
  });
  const durations = new Histogram({
    name: "sluice_registry_call_seconds",
    help: "How long gRPC calls took",
    labelNames: ["method"],
    buckets: CALL_BUCKETS,
    registers,
  });
  const uploaded = new Counter({
    name: "sluice_registry_uploads_total",
    help: "Versions that were uploaded, over gRPC and HTTP",
    labelNames: ["kind"],
    registers,
  });
  const uploadedBytes = new Counter({
    name: "sluice_registry_uploaded_bytes_total",
    help: "Bytes of versions that were uploaded",
    labelNames: ["kind"],
    registers,
  });
  declareTotals(source, registers);
  declareServing(source, registers);
  const unsubscribe = source.onChange((change) => {
    if (change.type !== "version-created") return;
    const kind = change.info.archived ? "archived" : "transient";
    uploaded.inc({ kind });
    uploadedBytes.inc({ kind }, change.info.dataBytes);
  });
  return {
    callEnded({ method, status, durationMs }) {
      calls.inc({ method, status });
      durations.observe({ method }, durationMs / 1_000);
    },
    close: unsubscribe,
  };
}

/** Read when somebody asks. */
function declareTotals({ totals }: MetricsSource, registers: Registry[]): void {
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  gauge("sluice_registry_models", "Models in the registry", () => totals().models);
  gauge("sluice_registry_uploads", "Uploads that are under way", () => totals().uploads);
  for (const [name, help, part] of [
    ["sluice_registry_versions", "Versions in the registry", "versions"],
    ["sluice_registry_bytes", "Bytes of the versions in the registry", "bytes"],
  ] as const) {
    new Gauge({
      name,
      help,
      labelNames: ["kind"],
      registers,
      collect() {
        for (const kind of KINDS) this.set({ kind }, totals()[kind][part]);
      },
    });
  }
  // Counted elsewhere, so they are set to what stands there.
  for (const [name, help, part] of [
    ["sluice_registry_downloads_total", "Versions, or parts of them, that were opened to be sent", "downloads"],
    ["sluice_registry_evictions_total", "Transient versions that made room for newer ones", "evictions"],
  ] as const) {
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset();
        this.inc(totals()[part]);
      },
    });
  }
}

function declareServing({ open, registration }: MetricsSource, registers: Registry[]): void {
  new Gauge({
    name: "sluice_registry_watchers",
    help: "Open VersionUpdate streams",
    registers,
    collect() {
      this.set(open().watchers);
    },
  });
  new Gauge({
    name: "sluice_registry_connections",
    help: "Open gRPC connections",
    registers,
    collect() {
      this.set(open().connections);
    },
  });
  new Gauge({
    name: "sluice_registry_directory_registered",
    help: "1 while the directory shows the registry, 0 while it should and does not; absent without a directory",
    labelNames: [],
    registers,
    collect() {
      const state = registration();
      this.reset();
      if (state === null) this.remove();
      else this.set(state.isRegistered ? 1 : 0);
    },
  });
}
