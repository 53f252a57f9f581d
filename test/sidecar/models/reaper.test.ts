import t from "tap";
import { type Mortal, planReaps } from "../../../sidecar/models/reaper.js";

const NOW = Date.parse("2030-01-01T00:00:00Z");
const model = (given: Partial<Mortal>): Mortal => ({
  name: "m",
  deploymentType: "manual",
  isRunning: true,
  isHeld: false,
  idleMs: 10_000,
  idleTtlMs: null,
  expiresAtMs: null,
  ...given,
});
const auto = (given: Partial<Mortal>) => model({ deploymentType: "auto", idleTtlMs: 10_000, ...given });
const fixed = { name: "m", reason: "fixed_ttl_expired", idleMs: null };

const CASES: readonly (readonly [string, Mortal, object[], string[]])[] = [
  ["a model without times stays", model({}), [], []],
  ["a fixed time that has come ends it", model({ expiresAtMs: NOW }), [fixed], []],
  ["one that has not come does not", model({ expiresAtMs: NOW + 1 }), [], []],
  ["what does not run is removed too", model({ expiresAtMs: NOW, isRunning: false, idleMs: null }), [fixed], []],
  ["what is held is overdue", model({ expiresAtMs: NOW - 1, isHeld: true, idleMs: null }), [], ["m"]],
  ["idle for exactly its time it is stopped", auto({}), [{ reason: "idle_ttl_expired", idleMs: 10_000 }], []],
  ["a moment less is not enough", auto({ idleMs: 9_999 }), [], []],
  ["held it is not idle", auto({ isHeld: true, idleMs: null }), [], []],
  ["what does not run cannot be idle", auto({ isRunning: false, idleMs: null }), [], []],
  ["past both times it is removed once, for good", auto({ expiresAtMs: NOW }), [fixed], []],
];

for (const [says, given, reaps, overdue] of CASES) {
  t.test(says, async (t) => {
    const plan = planReaps([given], NOW);
    t.match(plan.reaps, reaps);
    t.equal(plan.reaps.length, reaps.length);
    t.strictSame(plan.overdue, overdue);
  });
}
