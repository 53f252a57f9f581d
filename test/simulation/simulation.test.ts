/** The promises, over many random histories of the real scheduler on a virtual clock. */
import { fileURLToPath } from "node:url";
import t from "tap";
import { SHORT_FROM } from "./plan.js";
import { runHistories } from "./run-histories.js";

const DIST = fileURLToPath(new URL("../..", import.meta.url));
const HISTORIES = 100_000;
const PROCESSES = 2;
/** Beyond it something hangs; 100,000 histories need about two minutes of two cores. */
const LIMIT_MS = 900_000;

/** What was wrong once, by the seed that showed it when it did; kept because each is a short history of its kind. */
const REGRESSIONS: readonly (readonly [seed: number, what: string])[] = [
  [80, "a stop was asked for while tasks waited: the server drained for ever, and they waited for ever"],
  [70, "the clock was set back by an hour: a pause of seconds lasted an hour"],
  [9733, "a server found in the middle of a training was given up, and stopped, while an accepted run held it"],
  [100687, "the clock was set forward: a start was late at once, and its server stopped during an accepted training"],
  [109421, "a server had just become ready: an arrival's own permit passed five urgent tasks over"],
  [28625, "the clock was set forward: a paused urgent task was due, and a permit did not know its lane"],
  [102719, "the clock was set back by an hour: a run began before its own attempt, and was not found"],
  [19243, "the clock was set forward: an accepted training was over its limit at once, and given up as lost"],
  [1_069_670, "a stop was asked for between two starts of which the first had failed: nobody began the next"],
  [7424, "a run that a former process had marked as running was followed by nobody"],
];

t.setTimeout(LIMIT_MS);

t.test("histories that once broke a promise keep it now", async (t) => {
  for (const [seed, what] of REGRESSIONS) {
    const { failed, told } = await runHistories(DIST, ["--from", String(seed), "--count", "1"]);
    t.same(failed, [], `${what}\n${told.join("\n")}`);
  }
});

t.test(`no promise is broken in ${HISTORIES} histories`, async (t) => {
  const each = HISTORIES / PROCESSES;
  const parts = Array.from({ length: PROCESSES }, (_, at) => [
    "--from",
    String(SHORT_FROM + at * each),
    "--count",
    String(each),
  ]);
  const runs = await Promise.all(parts.map((args) => runHistories(DIST, args)));
  for (const { failed, told } of runs) t.same(failed, [], told.join("\n"));
  t.equal(
    runs.reduce((sum, run) => sum + run.histories, 0),
    HISTORIES,
  );
  const entries = runs.reduce((sum, run) => sum + run.entries, 0);
  t.ok(entries > 20 * HISTORIES, "things happen in them");
});

t.test("a history is the same whenever it is run", async (t) => {
  const one = await runHistories(DIST, ["--from", "1000", "--count", "300"]);
  const other = await runHistories(DIST, ["--from", "1000", "--count", "300"]);
  t.equal(one.entries, other.entries);
  const last = await runHistories(DIST, ["--from", "1299", "--count", "1"]);
  const before = await runHistories(DIST, ["--from", "1000", "--count", "299"]);
  t.equal(last.entries + before.entries, one.entries, "what ran before it changes nothing");
});
