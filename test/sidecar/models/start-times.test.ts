import t from "tap";
import { systemClock } from "../../../core/runtime/clock.js";
import { learnedBound, StartTimes } from "../../../sidecar/models/start-times.js";
import { openRig, quiet } from "../tasks/store-rig.js";
import { until } from "./support.js";

t.test("a start may take three times as long as the longest known one, and never less than configured", async (t) => {
  t.equal(learnedBound(300_000, null), 300_000);
  t.equal(learnedBound(300_000, 100_000), 300_000);
  t.equal(learnedBound(300_000, 200_000), 600_000);
});

t.test("what a start took is kept over a restart", async (t) => {
  const { models: store } = await openRig(t);
  const open = () => new StartTimes({ store, clock: systemClock, logger: quiet });
  const times = open();
  t.equal(times.longestMs("m"), null);
  times.record("m", "models:/m/1", 5_000.4);
  times.record("m", null, 2_000);
  await until(() => times.longestMs("m") === 5_000, "both records");
  t.equal(open().boundMs("m", 1_000), 15_000);
  t.equal(open().boundMs("other", 1_000), 1_000);
});
