/** What every implementation of permits does: run it with a factory. */
import { setImmediate as turn } from "node:timers/promises";
import type { Test } from "tap";
import type { GivesPermits, Permit, PermitRequest } from "../../sidecar/scheduler/limiter.js";

export type PermitsFactory = (maxConcurrentTasks: number) => GivesPermits;

function request(change: Partial<PermitRequest> = {}): PermitRequest {
  return { model: "m", class: "interactive", priority: 5, training: false, concurrency: 1, ...change };
}

/** Asks, and tells whether it was granted yet. */
function ask(permits: GivesPermits, change: Partial<PermitRequest> = {}, granted: string[] = [], name = "") {
  const asked = permits.request(request(change)).then((permit) => {
    granted.push(name);
    return permit;
  });
  return asked;
}

/** Long enough for whatever may be granted to be granted. */
async function settle(): Promise<void> {
  for (let each = 0; each < 100; each++) await turn();
}

export function testPermits(t: Test, create: PermitsFactory): void {
  t.test("permits go to the most urgent first, then to who came first", async (t) => {
    const permits = create(4);
    const first = await ask(permits);
    const granted: string[] = [];
    const asked = [
      ask(permits, { priority: 5 }, granted, "older"),
      ask(permits, { priority: 5 }, granted, "younger"),
      ask(permits, { priority: 2 }, granted, "urgent"),
    ];
    for (const each of asked) void each.then((permit) => permit.release());
    await settle();
    t.same(granted, []);
    first.release();
    await Promise.all(asked);
    t.same(granted, ["urgent", "older", "younger"]);
    await permits.stop();
  });

  t.test("neither a model's slots nor the slots of all are exceeded", async (t) => {
    const permits = create(3);
    const granted: string[] = [];
    const held: Promise<Permit>[] = [];
    for (let each = 0; each < 3; each++) held.push(ask(permits, { concurrency: 2 }, granted, "m"));
    for (let each = 0; each < 3; each++) held.push(ask(permits, { model: "n", concurrency: 2 }, granted, "n"));
    while (granted.length < 3) await settle();
    await settle();
    t.equal(granted.length, 3);
    t.ok(granted.filter((name) => name === "m").length <= 2);
    for (const each of held) void each.then((permit) => permit.release());
    await Promise.all(held);
    t.equal(granted.length, 6);
    await permits.stop();
  });

  t.test("an accepted training keeps its own slot and no call's", async (t) => {
    const permits = create(1);
    const training = await ask(permits, { training: true });
    const granted: string[] = [];
    const second = ask(permits, { training: true }, granted, "training");
    const call = ask(permits, {}, granted, "call");
    await settle();
    t.same(granted, []);
    training.releaseCall();
    (await call).release();
    await settle();
    t.same(granted, ["call"]);
    training.release();
    (await second).releaseUnused();
    t.same(granted, ["call", "training"]);
    await permits.stop();
  });

  t.test("giving back twice gives back once, and what is given back unused can be had again", async (t) => {
    const permits = create(1);
    const first = await ask(permits);
    first.releaseUnused();
    first.release();
    first.releaseCall();
    const granted: string[] = [];
    const second = await ask(permits, {}, granted, "second");
    const third = ask(permits, {}, granted, "third");
    await settle();
    t.same(granted, ["second"]);
    second.release();
    (await third).release();
    await permits.stop();
  });

  t.test("a request that was aborted keeps nothing", async (t) => {
    const permits = create(1);
    const first = await ask(permits);
    const abort = new AbortController();
    const reason = new Error("no longer wanted");
    const aborted = t.rejects(permits.request(request(), abort.signal), reason);
    abort.abort(reason);
    first.release();
    await aborted;
    (await ask(permits)).release();
    await permits.stop();
  });

  t.test("once stopped, who waits and who asks is refused", async (t) => {
    const permits = create(1);
    await ask(permits);
    const waiting = t.rejects(ask(permits), { code: "SHUTTING_DOWN" });
    await permits.stop();
    await waiting;
    await t.rejects(ask(permits), { code: "SHUTTING_DOWN" });
  });
}
