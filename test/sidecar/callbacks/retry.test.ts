import t from "tap";
import { delayAfter, isDue, MAX_DELIVERIES, outcomeOf } from "../../../sidecar/callbacks/retry.js";

const now = { nowMs: 1_000, random: 0.5 };

t.test("2xx is a delivery, 410 ends it, everything else is tried again", async (t) => {
  for (const status of [200, 202, 204]) t.same(outcomeOf({ kind: "status", status }, 1, now), { state: "delivered" });
  t.same(outcomeOf({ kind: "status", status: 410 }, 1, now), { state: "failed" });
  for (const status of [301, 302, 307, 400, 404, 429, 500, 503]) {
    t.same(outcomeOf({ kind: "status", status }, 1, now), { state: "pending", dueAtMs: 6_000 }, String(status));
  }
  t.same(outcomeOf({ kind: "failure", code: "ECONNREFUSED" }, 3, now), { state: "pending", dueAtMs: 21_000 });
  t.same(
    outcomeOf({ kind: "status", status: 500 }, MAX_DELIVERIES, now),
    { state: "failed" },
    "every retry has an end",
  );
  t.same(outcomeOf({ kind: "status", status: 200 }, MAX_DELIVERIES, now), { state: "delivered" });
});

t.test("pauses double from 5 s to an hour, with jitter, over about a day", async (t) => {
  t.same(
    [1, 2, 3, 10, 11, 33].map((delivery) => delayAfter(delivery, 0.5) / 1_000),
    [5, 10, 20, 2_560, 3_600, 3_600],
  );
  t.equal(delayAfter(1, 0), 4_000);
  t.equal(delayAfter(1, 1), 6_000);
  let all = 0;
  for (let delivery = 1; delivery < MAX_DELIVERIES; delivery++) all += delayAfter(delivery, 0.5);
  t.ok(Math.abs(all - 86_400_000) < 3_600_000, `${all / 3_600_000} hours`);
});

t.test("a clock that was set back holds nothing up", async (t) => {
  t.equal(isDue(1_000, 1_000), true);
  t.equal(isDue(1_001, 1_000), false);
  t.equal(isDue(86_400_000, 1_000), true);
});
