import t from "tap";
import {
  CALM,
  decideDoubt,
  decideLoss,
  type Glimpse,
  MUTED_AFTER_MS,
  remember,
} from "../../../sidecar/scheduler/run-patience.js";

const SEEN: Glimpse = { isSeen: true, server: "unasked", isDead: false, isTrackerAway: false };

t.test("what counts as gone, what as silence, and what as neither", async (t) => {
  const table: [string, Partial<Glimpse>, ReturnType<typeof decideDoubt>][] = [
    ["the tracker says RUNNING", {}, null],
    ["the tracker says RUNNING and the busy server is silent", { server: "silent" }, null],
    ["the tracker says RUNNING and the server refuses", { server: "away" }, "gone"],
    ["the tracker says RUNNING and the server was replaced", { isDead: true }, "gone"],
    ["the server tells of the run", { server: "there" }, null],
    ["the server refuses", { isSeen: false, server: "away" }, "gone"],
    ["the server knows no such run", { isSeen: false, server: "unknown" }, "gone"],
    ["the server cannot ask its tracker", { isSeen: false, server: "unknown", isTrackerAway: true }, "muted"],
    ["the server is silent", { isSeen: false, server: "silent" }, "muted"],
  ];
  for (const [name, change, doubt] of table) t.equal(decideDoubt({ ...SEEN, ...change }), doubt, name);
});

t.test("a run is lost when it was gone without a break for the bound, or untold of for an hour", async (t) => {
  let patience = remember(CALM, "gone", 1_000);
  patience = remember(patience, "gone", 30_000);
  t.equal(decideLoss(patience, 60_999, 60_000), null);
  t.match(decideLoss(patience, 61_000, 60_000), /gone for 60 s/);
  patience = remember(remember(patience, null, 40_000), "gone", 50_000);
  t.equal(decideLoss(patience, 61_000, 60_000), null, "seen meanwhile");
  patience = remember(remember(CALM, "muted", 0), "gone", 50_000);
  t.equal(decideLoss(patience, 60_000, 60_000), null, "silence is not counted as being gone");
  t.equal(decideLoss(remember(CALM, "muted", 0), MUTED_AFTER_MS - 1, 60_000), null);
  t.match(decideLoss(remember(CALM, "muted", 0), MUTED_AFTER_MS, 60_000), /nobody told/);
});
