import t from "tap";
import { ProxyMetrics } from "../../proxy/metrics.js";

t.test("nothing is kept of a model that is gone", async (t) => {
  const metrics = new ProxyMetrics();
  for (const model of ["gone", "here"]) {
    metrics.countModelRequest(model, "/process", "POST", 200);
    metrics.countTask(model, "process_bulk");
    metrics.observe(model, 1, 2);
  }
  metrics.countTask("unknown", "process_bulk");
  metrics.retain(new Set(["here"]));
  const text = JSON.stringify(metrics.collect({ inFlight: 0, isSidecarUp: true }));
  t.notMatch(text, /gone/);
  t.match(text, /here/);
  t.match(text, /unknown/);
});
