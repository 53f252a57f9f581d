/** The end of a run, and the trap of CMS 0.3.0: results that land in a second run. */
import t from "tap";
import { decideRunEnd, type RunFacts, SIBLING_WITHIN_MS } from "../../../sidecar/scheduler/run-end.js";
import type { TrackedRun } from "../../../sidecar/tracking/tracked-run.js";

const BEGAN_MS = 1_000_000;
const SAVED = { "training.output.model_uri": "mlflow-artifacts:/1/s/artifacts/model" };
const PLAIN: RunFacts = { isCancelAsked: false, savesModel: true };

function run(change: Partial<TrackedRun> = {}): TrackedRun {
  return {
    runId: "named",
    runName: "0b5f1f0e-0000-4000-8000-000000000000",
    experimentId: "1",
    status: "RUNNING",
    startedAtMs: BEGAN_MS,
    endedAtMs: null,
    artifactUri: "",
    lifecycleStage: "active",
    metrics: {},
    params: {},
    tags: {},
    ...change,
  };
}

const sibling = (change: Partial<TrackedRun> = {}) =>
  run({ runId: "s", runName: "eager-fox-12", startedAtMs: BEGAN_MS + 500, status: "FINISHED", tags: SAVED, ...change });

t.test("a run ends by itself as its tracker says", async (t) => {
  t.equal(decideRunEnd(run(), [], PLAIN), null);
  t.equal(decideRunEnd(run({ status: "SCHEDULED" }), [], PLAIN), null);
  t.match(decideRunEnd(run({ status: "FINISHED" }), [], PLAIN), { kind: "finished", sibling: null });
  t.same(decideRunEnd(run({ status: "FAILED", tags: { exception_0: "E0", exception_1: "E1" } }), [], PLAIN), {
    kind: "failed",
    exceptions: ["E0", "E1"],
  });
  t.same(decideRunEnd(run({ status: "FAILED" }), [], PLAIN), { kind: "failed", exceptions: null });
  t.same(decideRunEnd(run({ status: "KILLED" }), [], PLAIN), { kind: "killed" }, "and nobody asked for it");
  t.same(decideRunEnd(run({ status: "KILLED" }), [], { ...PLAIN, isCancelAsked: true }), { kind: "cancelled" });
});

t.test("exactly one sibling with a saved model, begun within a minute, ends the run that stays RUNNING", async (t) => {
  const end = decideRunEnd(run(), [run(), sibling()], PLAIN);
  t.match(end, { kind: "finished", named: { runId: "named" }, sibling: { runId: "s" } });
  t.match(decideRunEnd(run(), [sibling({ startedAtMs: BEGAN_MS + SIBLING_WITHIN_MS })], PLAIN), { kind: "finished" });
  t.match(decideRunEnd(run(), [sibling({ runName: "any name" })], PLAIN), { kind: "finished" });
  t.match(
    decideRunEnd(run(), [sibling(), sibling({ runId: "bare", tags: {} })], PLAIN),
    { kind: "finished", sibling: { runId: "s" } },
    "one without a saved model does not count",
  );
});

t.test("what may be somebody else's is not ours", async (t) => {
  t.equal(decideRunEnd(run(), [sibling(), sibling({ runId: "s2" })], PLAIN), null, "two siblings");
  t.equal(decideRunEnd(run(), [sibling({ startedAtMs: BEGAN_MS + SIBLING_WITHIN_MS + 1 })], PLAIN), null, "too late");
  t.equal(decideRunEnd(run(), [sibling({ startedAtMs: BEGAN_MS - 1 })], PLAIN), null, "before ours");
  t.equal(decideRunEnd(run(), [sibling({ experimentId: "2" })], PLAIN), null, "another experiment");
  t.equal(decideRunEnd(run(), [sibling({ tags: {} })], PLAIN), null, "nothing saved");
  t.equal(decideRunEnd(run({ startedAtMs: null }), [sibling()], PLAIN), null, "no time to measure from");
  t.equal(decideRunEnd(run(), [sibling({ status: "RUNNING" })], PLAIN), null, "ours, and not at its end");
});

t.test("a later training or a shutdown that ends the named run does not undo what the sibling finished", async (t) => {
  t.match(decideRunEnd(run({ status: "FAILED" }), [sibling()], PLAIN), { kind: "finished", sibling: { runId: "s" } });
  t.match(decideRunEnd(run({ status: "KILLED" }), [sibling()], PLAIN), { kind: "finished" });
  const failed = run({ status: "FAILED", tags: { exception: "out of memory" } });
  t.match(decideRunEnd(failed, [sibling()], PLAIN), { kind: "failed" }, "one that names its own fault did fail");
});

t.test(
  "a cancelled run stays cancelled; one that was finished before the cancellation met it is finished",
  async (t) => {
    const asked = { ...PLAIN, isCancelAsked: true };
    t.same(decideRunEnd(run({ status: "KILLED" }), [sibling()], asked), { kind: "cancelled" });
    t.same(decideRunEnd(run(), [sibling({ status: "KILLED", tags: {} })], asked), { kind: "cancelled" });
    t.same(decideRunEnd(run({ status: "FAILED" }), [], asked), { kind: "cancelled" }, "ended by the next training");
    t.match(decideRunEnd(run(), [sibling()], asked), { kind: "finished" });
  },
);

t.test(
  "a training that failed in the trap is known by the only run beside it, if MLflow made up its name",
  async (t) => {
    const fell = sibling({ status: "FAILED", tags: { exception: "no memory" } });
    t.same(decideRunEnd(run(), [fell], PLAIN), { kind: "failed", exceptions: ["no memory"] });
    t.equal(decideRunEnd(run(), [{ ...fell, runName: "somebody-s-job" }], PLAIN), null);
    t.equal(decideRunEnd(run(), [fell, sibling({ runId: "s2", tags: {} })], PLAIN), null, "not the only one");
    t.same(decideRunEnd(run(), [sibling({ status: "KILLED", tags: {} })], PLAIN), { kind: "killed" });
  },
);

t.test(
  "an evaluation saves nothing: in the trap the only run beside it, with a made-up name, is its own",
  async (t) => {
    const evaluation = { ...PLAIN, savesModel: false };
    const measured = sibling({ tags: { "training.trainer.mode": "eval" } });
    t.match(decideRunEnd(run(), [measured], evaluation), { kind: "finished", sibling: { runId: "s" } });
    t.equal(decideRunEnd(run(), [measured, sibling({ runId: "s2", tags: {} })], evaluation), null);
    t.equal(decideRunEnd(run(), [{ ...measured, runName: "nightly" }], evaluation), null);
  },
);
