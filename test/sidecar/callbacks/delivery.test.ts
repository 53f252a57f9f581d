import { createHmac } from "node:crypto";
import t, { type Test } from "tap";
import { type Clock, systemClock } from "../../../core/runtime/clock.js";
import { armFailpoints } from "../../../core/runtime/failpoints.js";
import { createHttpClient } from "../../../core/runtime/http.js";
import type { Logger } from "../../../core/runtime/logger.js";
import { startDelivery } from "../../../sidecar/callbacks/delivery.js";
import { MAX_DELIVERIES } from "../../../sidecar/callbacks/retry.js";
import { failed, sampleTask } from "../../contract/task-samples.js";
import { fastClock, leapingClock } from "../../helpers/fast-clock.js";
import { makeFolder } from "../../helpers/folder.js";
import { endedTask } from "../tasks/final-tasks.js";
import { openRig, quiet } from "../tasks/store-rig.js";
import { startReceiver } from "./receiver.js";

const KEY = Buffer.from("a key of twenty-four bytes");

/** A store and the owner of its callbacks; the owner is woken by the store's commits, as in the sidecar. */
async function startRig(t: Test, options: { clock?: Clock; logger?: Logger; dataDir?: string } = {}) {
  const rig = await openRig(t, options.dataDir === undefined ? {} : { dataDir: options.dataDir });
  const http = createHttpClient();
  const waiters = new Set<() => void>();
  const outcomes: string[] = [];
  const delivery = startDelivery({
    store: rig.callbacks,
    http,
    key: () => KEY,
    clock: options.clock ?? systemClock,
    logger: options.logger ?? quiet,
    observer: {
      called(state) {
        outcomes.push(state);
        for (const waiter of waiters) waiter();
      },
    },
  });
  rig.store.onChange(() => delivery.wake());
  t.teardown(async () => {
    await delivery.stop();
    await http.close();
  });
  /** Resolves once so many deliveries have been written down. */
  const settled = (count: number) =>
    new Promise<void>((resolve) => {
      const look = () => outcomes.length >= count && resolve();
      waiters.add(look);
      look();
    });
  return { ...rig, delivery, outcomes, settled };
}

t.test("a task's end is told once, signed, in words that hold no result", async (t) => {
  const rig = await startRig(t);
  const receiver = await startReceiver(t, [204]);
  const { uuid } = await endedTask(rig, Date.UTC(2025, 0, 2, 3, 4, 5), {
    task: { callback: receiver.url, model: "m" },
  });
  await rig.settled(1);
  const [{ headers, text, path }] = receiver.received as [(typeof receiver.received)[0]];
  t.equal(path, "/hook?token=secret-token");
  t.same(JSON.parse(text), {
    uuid,
    status: "succeeded",
    reason: null,
    model: "m",
    type: "process",
    result_status: 200,
    finished_at: "2025-01-02T03:04:05+00:00",
    location: `/tasks/${uuid}`,
  });
  t.equal(headers["webhook-id"], uuid);
  t.ok(Math.abs(Number(headers["webhook-timestamp"]) - Date.now() / 1_000) < 60);
  const signed = `${uuid}.${headers["webhook-timestamp"]}.${text}`;
  t.equal(headers["webhook-signature"], `v1,${createHmac("sha256", KEY).update(signed).digest("base64")}`);
  t.same(rig.callbacks.stateOf(uuid), { state: "delivered", attempts: 1 });
  t.same(rig.callbacks.origins(), []);
  t.equal(receiver.received.length, 1);
});

t.test(
  "every way to end is told: cancelled and expired too; nothing is told before the end, or without a callback",
  async (t) => {
    const rig = await startRig(t);
    const receiver = await startReceiver(t, [200]);
    const callback = receiver.url;
    const cancelled = (await rig.store.insert(sampleTask({ callback }))).task;
    const expired = (await rig.store.insert(sampleTask({ callback, deadlineAtMs: 5 }))).task;
    const waiting = (await rig.store.insert(sampleTask({ callback }))).task;
    const silent = (await rig.store.insert(sampleTask())).task;
    await rig.store.failWaiting(cancelled.uuid, failed("cancelled"));
    await rig.store.failWaiting(silent.uuid, failed("cancelled"));
    await rig.store.expire(10);
    await rig.settled(2);
    const told = receiver.received.map(({ text }) => JSON.parse(text) as { uuid: string; reason: string });
    t.same(
      new Map(told.map(({ uuid, reason }) => [uuid, reason])),
      new Map([
        [cancelled.uuid, "cancelled"],
        [expired.uuid, "expired"],
      ]),
    );
    t.same(rig.callbacks.stateOf(waiting.uuid), { state: "pending", attempts: 0 });
    t.equal(rig.callbacks.stateOf(silent.uuid), null);
  },
);

t.test(
  "a receiver that fails, cuts, hangs or redirects is asked again until it takes it, with the same id",
  async (t) => {
    const rig = await startRig(t, { clock: fastClock(50) });
    const receiver = await startReceiver(t, [500, "cut", "redirect", "hang", 200]);
    const { uuid } = await endedTask(rig, 1, { task: { callback: receiver.url } });
    await rig.settled(5);
    t.same(rig.outcomes, ["pending", "pending", "pending", "pending", "delivered"]);
    t.same(
      [...new Set(receiver.received.map(({ path }) => path))],
      ["/hook?token=secret-token"],
      "no redirect is followed",
    );
    t.same([...new Set(receiver.received.map(({ headers }) => headers["webhook-id"]))], [uuid]);
    t.same(rig.callbacks.stateOf(uuid), { state: "delivered", attempts: 5 });
  },
);

t.test("an answer without end costs a bounded read, and counts by its status", async (t) => {
  const rig = await startRig(t, { clock: fastClock(10) });
  const receiver = await startReceiver(t, ["endless"]);
  const { uuid } = await endedTask(rig, 1, { task: { callback: receiver.url } });
  await rig.settled(1);
  t.same(rig.callbacks.stateOf(uuid), { state: "delivered", attempts: 1 });
});

t.test("410 ends it, a day of failures too, and the log names the origin alone", async (t) => {
  const lines: string[] = [];
  const note = (fields: object, message: string) => void lines.push(JSON.stringify({ ...fields, message }));
  const logger: Logger = { error: note, warn: note, info: note, debug: note, child: () => logger, setLevel() {} };
  const rig = await startRig(t, { clock: leapingClock(10_000), logger });
  const gone = await startReceiver(t, [410]);
  const broken = await startReceiver(t, [503]);
  const first = await endedTask(rig, 1, { task: { callback: gone.url } });
  const second = await endedTask(rig, 1, { task: { callback: broken.url } });
  await rig.settled(1 + MAX_DELIVERIES);
  t.same(rig.callbacks.stateOf(first.uuid), { state: "failed", attempts: 1 });
  t.same(rig.callbacks.stateOf(second.uuid), { state: "failed", attempts: MAX_DELIVERIES });
  t.equal(broken.received.length, MAX_DELIVERIES);
  t.equal(lines.filter((line) => line.includes("callback_given_up")).length, 2);
  t.ok(lines.some((line) => line.includes(broken.origin)));
  t.notOk(lines.some((line) => line.includes("secret-token")));
});

t.test("a receiver that hangs holds up its own callbacks alone", async (t) => {
  const rig = await startRig(t);
  const hanging = await startReceiver(t, ["hang"]);
  const good = await startReceiver(t, [200]);
  await Promise.all(Array.from({ length: 30 }, () => endedTask(rig, 1, { task: { callback: hanging.url } })));
  await hanging.reached(4);
  await Promise.all(Array.from({ length: 10 }, () => endedTask(rig, 2, { task: { callback: good.url } })));
  await rig.settled(10);
  t.equal(good.received.length, 10);
  t.equal(hanging.received.length, 4, "no more than its share is on the way");
});

t.test("what was on its way at a stop is sent again by the next owner", async (t) => {
  const dataDir = makeFolder(t);
  const receiver = await startReceiver(t, ["hang", 200]);
  const first = await startRig(t, { dataDir });
  const { uuid } = await endedTask(first, 1, { task: { callback: receiver.url } });
  await receiver.reached(1);
  await first.delivery.stop();
  await first.store.close();
  const second = await startRig(t, { dataDir });
  await second.settled(1);
  t.same(second.callbacks.stateOf(uuid), { state: "delivered", attempts: 1 });
  t.equal(receiver.received.length, 2, "at least once");
});

t.test(
  "a store that fails to write a delivery down is asked again, without the message going out once more",
  async (t) => {
    armFailpoints("callback.before_commit=throw:ENOSPC@1");
    t.teardown(() => armFailpoints(null));
    const rig = await startRig(t);
    const receiver = await startReceiver(t, [200]);
    const { uuid } = await endedTask(rig, 1, { task: { callback: receiver.url } });
    await rig.settled(1);
    t.same(rig.callbacks.stateOf(uuid), { state: "delivered", attempts: 1 });
    t.equal(receiver.received.length, 1);
  },
);
