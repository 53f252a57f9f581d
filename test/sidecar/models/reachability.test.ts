import t from "tap";
import {
  type CheckOutcome,
  decideReachability,
  type Health,
  SILENCE_TO_UNREACHABLE_MS,
  WELL,
} from "../../../sidecar/models/reachability.js";

const LIMIT = SILENCE_TO_UNREACHABLE_MS;

t.test("what a check means for a ready server", async (t) => {
  const table: [string, Health, CheckOutcome, number, Health, boolean][] = [
    ["a good check of a well server", WELL, "ready", 5, WELL, true],
    ["a good check forgets refusals", { refusals: 2, unwellSince: null }, "ready", 5, WELL, true],
    ["a good check forgets silence", { refusals: 0, unwellSince: 1 }, "ready", LIMIT * 9, WELL, true],
    ["the first refusal", WELL, "refused", 5, { refusals: 1, unwellSince: null }, true],
    ["the second refusal", { refusals: 1, unwellSince: null }, "refused", 5, { refusals: 2, unwellSince: null }, true],
    ["the third refusal", { refusals: 2, unwellSince: null }, "refused", 5, { refusals: 3, unwellSince: null }, false],
    [
      "silence between refusals breaks the row",
      { refusals: 2, unwellSince: null },
      "silent",
      5,
      { refusals: 0, unwellSince: 5 },
      true,
    ],
    ["the first silence", WELL, "silent", 5, { refusals: 0, unwellSince: 5 }, true],
    ["a silence of 200 s", { refusals: 0, unwellSince: 5 }, "silent", 5 + LIMIT, { refusals: 0, unwellSince: 5 }, true],
    ["a longer silence", { refusals: 0, unwellSince: 5 }, "silent", 6 + LIMIT, { refusals: 0, unwellSince: 5 }, false],
    ["an answer that is not ready counts as silence", WELL, "unready", 7, { refusals: 0, unwellSince: 7 }, true],
    [
      "a refusal ends a silence",
      { refusals: 0, unwellSince: 5 },
      "refused",
      LIMIT,
      { refusals: 1, unwellSince: null },
      true,
    ],
  ];
  for (const [name, before, outcome, now, after, reachable] of table) {
    t.strictSame(decideReachability(before, outcome, now), { health: after, reachable }, name);
  }
});
