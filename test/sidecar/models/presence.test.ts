import t, { type Test } from "tap";
import type { PresenceReport } from "../../../core/contract/internal-api.js";
import { type Clock, systemClock } from "../../../core/runtime/clock.js";
import { Leases } from "../../../sidecar/models/leases.js";
import { MISSING_HOLD_MS, Presence } from "../../../sidecar/models/presence.js";

/** A clock that stands still until it is told to move. */
function handClock(): Clock & { pass(ms: number): void } {
  const timers = new Set<{ readonly atMs: number; readonly action: () => void }>();
  let nowMs = 0;
  return {
    ...systemClock,
    now: () => nowMs,
    elapsed: () => nowMs,
    after(delayMs, action) {
      const timer = { atMs: nowMs + delayMs, action };
      timers.add(timer);
      return () => timers.delete(timer);
    },
    pass(ms) {
      nowMs += ms;
      for (const timer of [...timers].filter(({ atMs }) => atMs <= nowMs)) {
        timers.delete(timer);
        timer.action();
      }
    },
  };
}

function rig(t: Test, expected = 0) {
  const clock = handClock();
  const leases = new Leases(clock);
  let freed = 0;
  const presence = new Presence({
    clock,
    take: (model, holder) => leases.take(model, holder),
    onFree: () => {
      freed += 1;
    },
    expected: () => expected,
  });
  t.teardown(() => presence.stop());
  let sequence = 0;
  const report = (proxy: string, more: Partial<PresenceReport> = {}) => {
    sequence += 1;
    presence.report({
      ...presence.table,
      localUrl: "",
      proxy,
      sequence,
      inFlight: {},
      servers: {},
      used: [],
      isLeaving: false,
      ...more,
    });
  };
  return { clock, leases, presence, report, freed: () => freed };
}

t.test("a drain is over once every proxy has acknowledged a table that shows it", async (t) => {
  const { presence, report } = rig(t);
  presence.connect("one");
  presence.connect("two");
  report("one");
  report("two");
  t.notOk(presence.isAwaited("m"));
  const before = presence.table;
  presence.announceDrain("m");
  t.equal(presence.table.version, before.version + 1);
  t.ok(presence.isAwaited("m"));
  t.notOk(presence.isAwaited("another"));
  report("one");
  t.ok(presence.isAwaited("m"));
  report("two", before);
  t.ok(presence.isAwaited("m"), "it still acts on the table before");
  report("two");
  t.notOk(presence.isAwaited("m"));
  presence.announceDrain("m");
  t.ok(presence.isAwaited("m"), "an earlier drain's acknowledgement counts for that one alone");
});

t.test("listeners hear of a new table before a drain goes on", async (t) => {
  const { presence } = rig(t);
  const heard: number[] = [];
  const forget = presence.onAdvance(() => heard.push(presence.table.version));
  presence.announceDrain("m");
  presence.advance();
  forget();
  presence.advance();
  t.strictSame(heard, [2, 3]);
});

t.test(
  "what a proxy has in flight is leased until it says otherwise, and what came and went counts as use",
  async (t) => {
    const { clock, leases, presence, report } = rig(t);
    presence.connect("one");
    report("one", { inFlight: { m: 3 }, used: ["m", "n"] });
    t.equal(leases.count("m"), 1);
    t.equal(leases.count("n"), 0);
    t.equal(leases.idleSinceMs("n"), 0);
    clock.pass(1_000);
    report("one", { inFlight: { m: 1 }, used: [] });
    t.equal(leases.count("m"), 1);
    clock.pass(1_000);
    report("one", { used: ["m", "n"] });
    t.equal(leases.count("m"), 0);
    t.strictSame([leases.idleSinceMs("m"), leases.idleSinceMs("n")], [2_000, 2_000]);
  },
);

t.test("a report that comes late does not undo a newer one", async (t) => {
  const { leases, presence } = rig(t);
  presence.connect("one");
  const report = (sequence: number, inFlight: Record<string, number>) =>
    presence.report({
      ...presence.table,
      localUrl: "",
      proxy: "one",
      sequence,
      inFlight,
      servers: {},
      used: [],
      isLeaving: false,
    });
  report(2, { m: 1 });
  report(1, {});
  t.equal(leases.count("m"), 1);
});

t.test("the acknowledgement of an earlier sidecar's table is none", async (t) => {
  const { presence, report } = rig(t);
  presence.connect("one");
  presence.announceDrain("m");
  report("one", { epoch: "another sidecar's", version: 900 });
  t.ok(presence.isAwaited("m"));
  report("one");
  t.notOk(presence.isAwaited("m"));
});

t.test("a proxy out of sight holds everything until it is back or its time has passed", async (t) => {
  const { clock, leases, presence, report, freed } = rig(t);
  const disconnect = presence.connect("one");
  report("one", { inFlight: { m: 1 } });
  t.notOk(presence.isBlind(false));
  disconnect();
  disconnect();
  t.ok(presence.isBlind(false));
  t.notOk(presence.isAwaited("m"), "nobody who sees us");
  const reconnect = presence.connect("one");
  t.notOk(presence.isBlind(false));
  presence.announceDrain("m");
  t.ok(presence.isAwaited("m"), "what it acknowledged before counts no more");
  reconnect();
  clock.pass(MISSING_HOLD_MS - 1);
  t.ok(presence.isBlind(false));
  t.equal(leases.count("m"), 1);
  const before = freed();
  clock.pass(1);
  t.notOk(presence.isBlind(false));
  t.equal(leases.count("m"), 0);
  t.ok(freed() > before, "and whoever waits for that is told");
});

t.test("a proxy that says goodbye holds nothing, whenever its stream is closed", async (t) => {
  const { leases, presence, report } = rig(t);
  const disconnect = presence.connect("one");
  report("one", { inFlight: { m: 1 } });
  disconnect();
  report("one", { isLeaving: true });
  t.notOk(presence.isBlind(false));
  t.equal(leases.count("m"), 0);
  const later = presence.connect("two");
  report("two", { isLeaving: true });
  later();
  t.notOk(presence.isBlind(false));
});

t.test("when the sidecar ends, a proxy out of sight holds nothing any more", async (t) => {
  const { leases, presence, report } = rig(t);
  const disconnect = presence.connect("one");
  presence.connect("two");
  report("one", { inFlight: { m: 1 } });
  report("two", { inFlight: { n: 1 } });
  disconnect();
  presence.end();
  t.strictSame([leases.count("m"), leases.count("n")], [0, 1]);
  t.notOk(presence.isBlind(false));
});

t.test("a report without a stream is heard, and is no acknowledgement", async (t) => {
  const { leases, presence, report } = rig(t);
  report("one", { inFlight: { m: 1 } });
  t.equal(leases.count("m"), 1);
  t.ok(presence.isBlind(false));
  presence.announceDrain("m");
  presence.connect("one");
  t.ok(presence.isAwaited("m"));
});

t.test("after its own start a sidecar takes old servers for held, since it cannot count who uses them", async (t) => {
  const { clock, presence, freed } = rig(t);
  t.ok(presence.isBlind(true));
  t.notOk(presence.isBlind(false));
  clock.pass(MISSING_HOLD_MS);
  t.notOk(presence.isBlind(true));
  t.equal(freed(), 1);
});

t.test("a replaced server is used as long as a proxy has something on it, or may have by an older table", async (t) => {
  const { presence, report } = rig(t);
  presence.connect("one");
  report("one", { inFlight: { m: 1 }, servers: { old: 1 } });
  const before = presence.table;
  const version = presence.announce();
  t.equal(version, before.version + 1, "a version of its own");
  report("one", { ...before, inFlight: { m: 1 }, servers: { new: 1 } });
  t.ok(presence.isServerUsed("old", version), "it acts on the table before");
  report("one", { inFlight: { m: 2 }, servers: { old: 1, new: 1 } });
  t.ok(presence.isServerUsed("old", version));
  report("one", { inFlight: { m: 1 }, servers: { new: 1 } });
  t.notOk(presence.isServerUsed("old", version));
});

t.test("a replaced server keeps the calls that had begun on it, and no other lease of its model", async (t) => {
  const { leases } = rig(t);
  leases.take("m", "waiting tasks");
  const call = leases.take("m", "a task", "server");
  const isCalled = leases.onServer("m");
  leases.take("m", "a later task", "server");
  t.ok(isCalled());
  call();
  t.notOk(isCalled());
  t.notOk(leases.isTraining("m"));
  const training = leases.take("m", "a training", "training");
  t.ok(leases.isTraining("m"));
  training();
  t.notOk(leases.isTraining("m"));
});

t.test("whoever is told of a change finds it, also at a proxy that is on its way back to a new sidecar", async (t) => {
  const { presence, report } = rig(t, 2);
  presence.connect("one");
  report("one");
  presence.advance();
  let isFollowed = false;
  const followed = presence.whenFollowed(60_000).then(() => {
    isFollowed = true;
  });
  report("one");
  await new Promise(setImmediate);
  t.notOk(isFollowed, "the other one has not come yet");
  presence.connect("two");
  report("two");
  await followed;
});

t.test("a proxy that never comes is not waited for once all could have come", async (t) => {
  const { presence, clock } = rig(t, 2);
  clock.pass(3_000);
  await presence.whenFollowed(60_000);
  t.pass();
});
