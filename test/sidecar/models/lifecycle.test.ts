import t from "tap";
import type { ModelState } from "../../../core/contract/models.js";
import {
  advance,
  type Life,
  type LifeEvent,
  type LifeRules,
  type Step,
  UNBORN,
} from "../../../sidecar/models/lifecycle.js";
import type { CheckOutcome } from "../../../sidecar/models/reachability.js";

const STARTABLE: LifeRules = {
  startable: true,
  startTimeoutMs: 10_000,
  retryAttempts: 2,
  probeIntervalMs: 1_000,
  recheckIntervalMs: 5_000,
};
const WATCHED: LifeRules = { ...STARTABLE, startable: false };
const NOW = 1_000_000;
const RUN = 4;

const life = (state: ModelState, more: Partial<Life> = {}): Life => ({ ...UNBORN, state, run: RUN, ...more });
const starting = life("starting", { attempt: 1, startBy: NOW + 10_000, launchedAt: NOW, probeDelayMs: 200 });

const LIVES: Record<string, Life> = {
  absent: life("absent"),
  failed: life("failed", { problem: "it broke" }),
  starting,
  ready: life("ready"),
  unreachable: life("unreachable", { problem: "refused" }),
  draining: life("draining", { before: "ready" }),
};
const EVENTS: Record<string, LifeEvent> = {
  wanted: { type: "wanted", held: false },
  found: { type: "found" },
  launched: { type: "launched", run: RUN },
  "start-failed": { type: "start-failed", run: RUN, problem: "no such program" },
  "start-refused": { type: "start-failed", run: RUN, problem: "it can never fit", isFinal: true },
  exited: { type: "exited", run: RUN, cause: "exited with code 3" },
  good: { type: "checked", run: RUN, outcome: "ready" },
  unready: { type: "checked", run: RUN, outcome: "unready" },
  silent: { type: "checked", run: RUN, outcome: "silent" },
  refused: { type: "checked", run: RUN, outcome: "refused" },
  due: { type: "due", run: RUN },
  "stop-asked": { type: "stop-asked" },
  "stop-called-off": { type: "stop-called-off" },
  drained: { type: "drained" },
  stopped: { type: "stopped", run: RUN },
};

/** State and actions after one step, in short. */
function brief({ life, actions }: Step): string {
  const words = actions.map((action) => {
    switch (action.do) {
      case "tell":
        return action.what;
      case "check":
      case "wake":
        return `${action.do}${action.run === RUN ? "" : `#${action.run}`}@${action.afterMs}`;
      case "drain":
        return "drain";
      default:
        return `${action.do}${action.run === RUN ? "" : `#${action.run}`}`;
    }
  });
  return [life.state, ...words].join(" ");
}

/** Every pair; what is not listed changes nothing. */
const MOVES: Record<string, Record<string, string>> = {
  absent: { wanted: "starting start#5", found: "starting check#5@0" },
  failed: { wanted: "starting start#5", found: "starting check#5@0" },
  starting: {
    launched: "starting check@50",
    "start-failed": "starting retry wake#5@500",
    "start-refused": "failed failed",
    exited: "starting retry wake#5@500",
    good: "ready ready check@5000",
    unready: "starting check@200",
    silent: "starting check@200",
    refused: "starting check@200",
    due: "starting start",
    "stop-asked": "draining drain",
  },
  ready: {
    exited: "absent exited",
    good: "ready check@5000",
    unready: "ready check@5000",
    silent: "ready check@5000",
    refused: "ready check@1000",
    "stop-asked": "draining drain",
  },
  unreachable: {
    exited: "absent exited",
    good: "ready ready check@5000",
    unready: "unreachable check@1000",
    silent: "unreachable check@1000",
    refused: "unreachable check@1000",
    "stop-asked": "draining drain",
  },
  draining: {
    "stop-called-off": "ready ready check@0",
    drained: "draining stop",
    exited: "absent",
    "start-failed": "absent",
    "start-refused": "absent",
    stopped: "absent",
  },
};

t.test("a stop that is asked for between two starts leaves nothing behind that waits", async (t) => {
  const failing = { type: "start-failed", run: RUN, problem: "no such program" } as const;
  const pausing = advance(starting, failing, NOW, STARTABLE).life;
  const stopped = advance(pausing, { type: "stop-asked" }, NOW, STARTABLE).life;
  t.equal(stopped.state, "absent");
  t.equal(
    advance(stopped, { type: "due", run: pausing.run }, NOW, STARTABLE).life.state,
    "absent",
    "its pause is over",
  );
  t.equal(advance(stopped, { type: "wanted", held: true }, NOW, STARTABLE).life.state, "starting");
  const resumed = advance(pausing, { type: "due", run: pausing.run }, NOW, STARTABLE).life;
  t.equal(
    advance(resumed, { type: "stop-asked" }, NOW, STARTABLE).life.state,
    "draining",
    "a start under way is ended",
  );
});

t.test("every event in every state does what the table says", async (t) => {
  for (const [state, before] of Object.entries(LIVES)) {
    for (const [name, event] of Object.entries(EVENTS)) {
      const step = advance(before, event, NOW, STARTABLE);
      const expected = MOVES[state]![name];
      t.equal(brief(step), expected ?? state, `${name} while ${state}`);
    }
  }
});

t.test("an event of an earlier run changes nothing in any state", async (t) => {
  for (const before of Object.values(LIVES)) {
    for (const event of Object.values(EVENTS)) {
      if (!("run" in event)) continue;
      const step = advance(before, { ...event, run: RUN - 1 }, NOW, STARTABLE);
      t.strictSame(step, { life: before, actions: [] });
    }
  }
});

t.test("a server that somebody else runs is never started, and its checks go on without a bound", async (t) => {
  t.equal(brief(advance(life("absent"), { type: "wanted", held: false }, NOW, WATCHED)), "absent");
  const found = advance(life("absent"), { type: "found" }, NOW, WATCHED).life;
  t.equal(found.startBy, null);
  const step = advance(found, { type: "checked", run: found.run, outcome: "refused" }, NOW + 1e9, WATCHED);
  t.equal(brief(step), "starting check#5@1000");
});

t.test("a start is tried again with growing pauses, then it has failed", async (t) => {
  let now = NOW;
  let step = advance(UNBORN, { type: "wanted", held: false }, now, STARTABLE);
  const pauses: number[] = [];
  while (step.life.state === "starting") {
    const { run } = step.life;
    step = advance(step.life, { type: "exited", run, cause: "exited with code 3" }, now, STARTABLE);
    const wake = step.actions.find((action) => action.do === "wake");
    if (wake === undefined) break;
    pauses.push(wake.afterMs);
    now += wake.afterMs;
    step = advance(step.life, { type: "due", run: wake.run }, now, STARTABLE);
    t.strictSame(step.actions, [{ do: "start", run: wake.run }]);
  }
  t.strictSame(pauses, [500, 1_000], "two retries after the first start");
  t.equal(step.life.state, "failed");
  t.match(step.life.problem, /exited with code 3 before it was ready/);
});

t.test("a start ends at its bound, whatever it is doing then", async (t) => {
  const late = NOW + 10_000;
  t.equal(brief(advance(starting, EVENTS.silent!, late, STARTABLE)), "failed stop failed");
  t.equal(brief(advance(starting, EVENTS.due!, late, STARTABLE)), "failed stop failed");
  t.equal(
    brief(advance(starting, EVENTS.good!, late, STARTABLE)),
    "ready ready check@5000",
    "ready at the last moment counts",
  );
  t.equal(brief(advance(starting, EVENTS.exited!, late - 100, STARTABLE)), "failed failed", "no time left for another");
  t.equal(
    brief(advance(starting, EVENTS.silent!, late - 50, STARTABLE)),
    "starting check@50",
    "the last check is at the bound",
  );
});

t.test(
  "checks of a start grow from 50 ms to 150 ms, so that who waits hardly waits longer than the start",
  async (t) => {
    let current = advance(starting, EVENTS.launched!, NOW, STARTABLE).life;
    const pauses: number[] = [];
    for (let i = 0; i < 10; i++) {
      const step = advance(current, EVENTS.refused!, NOW, STARTABLE);
      const [check] = step.actions;
      pauses.push(check?.do === "check" ? check.afterMs : Number.NaN);
      current = step.life;
    }
    t.equal(pauses[0], 50);
    t.equal(pauses.at(-1), 150);
    t.strictSame(
      pauses,
      [...pauses].sort((one, other) => one - other),
    );
  },
);

t.test("three refusals in a row make a ready server unreachable, told once", async (t) => {
  let step = advance(life("ready"), EVENTS.refused!, NOW, STARTABLE);
  step = advance(step.life, EVENTS.refused!, NOW, STARTABLE);
  t.equal(step.life.state, "ready");
  step = advance(step.life, EVENTS.refused!, NOW, STARTABLE);
  t.equal(brief(step), "unreachable unreachable check@1000");
  t.match(step.life.problem, /refuses connections/);
  step = advance(step.life, EVENTS.good!, NOW, STARTABLE);
  t.equal(step.life.state, "ready");
  t.equal(step.life.problem, null);
});

t.test("a start's bound counts from its first launch, and a start tells how long its last one took", async (t) => {
  const asked = advance(UNBORN, { type: "wanted", held: true }, NOW, STARTABLE).life;
  t.equal(asked.startBy, null, "it may wait for its turn");
  const launch = (life: Life, now: number) => advance(life, { type: "launched", run: life.run }, now, STARTABLE).life;
  const first = launch(asked, NOW + 60_000);
  t.equal(first.startBy, NOW + 70_000);
  const failed = advance(first, { type: "exited", run: first.run, cause: "ended" }, NOW + 61_000, STARTABLE).life;
  t.equal(failed.launchedAt, null);
  const second = launch(failed, NOW + 63_000);
  t.equal(second.startBy, NOW + 70_000, "retries included");
  const ready = advance(second, { type: "checked", run: second.run, outcome: "ready" }, NOW + 65_000, STARTABLE);
  t.match(ready.actions[0], { do: "tell", what: "ready", tookMs: 2_000 });
  const found = advance(UNBORN, { type: "found" }, NOW, STARTABLE).life;
  const seen = advance(found, { type: "checked", run: found.run, outcome: "ready" }, NOW + 5_000, STARTABLE);
  t.notOk("tookMs" in seen.actions[0]!, "of one that was found nobody knows");
});

t.test("a stop that is called off before the launch leaves the bound to the launch", async (t) => {
  const asked = advance(UNBORN, { type: "wanted", held: true }, NOW, STARTABLE).life;
  const draining = advance(asked, EVENTS["stop-asked"]!, NOW, STARTABLE).life;
  const off = advance(draining, EVENTS["stop-called-off"]!, NOW + 1_000, STARTABLE).life;
  t.match(off, { state: "starting", startBy: null });
  const launched = advance(draining, { type: "launched", run: draining.run }, NOW + 500, STARTABLE).life;
  const bounded = advance(launched, EVENTS["stop-called-off"]!, NOW + 1_000, STARTABLE).life;
  t.match(bounded, { state: "starting", startBy: NOW + 11_000, launchedAt: NOW + 500 });
});

t.test("a request that comes while it drains starts it again once it has stopped", async (t) => {
  const wanted = advance(LIVES.draining!, { type: "wanted", held: false }, NOW, STARTABLE).life;
  t.equal(wanted.state, "draining");
  t.equal(brief(advance(wanted, EVENTS.stopped!, NOW, STARTABLE)), "starting start#5");
});

t.test(
  "a found server that stays silent may be training: it is given up after an hour, one that says no at its bound",
  async (t) => {
    const found = advance(UNBORN, { type: "found" }, NOW, STARTABLE).life;
    const check = (outcome: CheckOutcome, afterMs: number) =>
      advance(found, { type: "checked", run: found.run, outcome }, NOW + afterMs, STARTABLE).life.state;
    t.equal(check("unready", 199_000), "starting");
    t.equal(check("unready", 201_000), "failed");
    t.equal(check("silent", 3_600_000), "starting");
    t.equal(check("silent", 3_900_000), "failed");
  },
);

t.test("a stop is called off when it is wanted while something holds it, until it is being ended", async (t) => {
  const held: LifeEvent = { type: "wanted", held: true };
  const drain = (state: ModelState) => advance(LIVES[state]!, EVENTS["stop-asked"]!, NOW, STARTABLE).life;
  t.equal(brief(advance(drain("ready"), held, NOW, STARTABLE)), "ready ready check@0");
  t.equal(brief(advance(drain("unreachable"), held, NOW, STARTABLE)), "unreachable check@0");
  const again = advance(drain("starting"), held, NOW, STARTABLE);
  t.equal(brief(again), "starting check@0");
  t.equal(again.life.startBy, NOW + STARTABLE.startTimeoutMs);
  const ending = advance(drain("ready"), EVENTS.drained!, NOW, STARTABLE).life;
  t.equal(brief(advance(ending, held, NOW, STARTABLE)), "draining");
  t.equal(brief(advance(ending, EVENTS["stop-called-off"]!, NOW, STARTABLE)), "draining");
  t.equal(brief(advance(ending, EVENTS.drained!, NOW, STARTABLE)), "draining", "it is ended once");
});

t.test("a process that was found again and ends before it answers is started when it was wanted", async (t) => {
  const found = advance(UNBORN, { type: "found" }, NOW, STARTABLE).life;
  const exited: LifeEvent = { type: "exited", run: found.run, cause: "ended" };
  t.equal(advance(found, exited, NOW, STARTABLE).life.state, "absent");
  const wanted = advance(found, { type: "wanted", held: false }, NOW, STARTABLE).life;
  const step = advance(wanted, exited, NOW, STARTABLE);
  t.equal(step.life.state, "starting");
  t.strictSame(
    step.actions.map((action) => action.do),
    ["tell", "start"],
  );
  t.ok((found.startBy ?? 0) - NOW >= 200_000, "it may be in the middle of a blocking call");
});
