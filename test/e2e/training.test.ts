/** Trainings over crashes of ours: followed to their end, never sent twice, their cancellation remembered. */
import t from "tap";
import { final, killSidecar, knows, type Rig, reached, startRigs, submit, timesSent, until } from "./training-rig.js";

t.test("a training is sent once and followed over crashes of ours", async (t) => {
  const [rig] = (await startRigs(t, ["m"])) as [Rig];

  await t.test("kill -9 while it runs: it is followed to its end", async (t) => {
    const uuid = await submit(rig, 25);
    const running = await reached(rig, uuid, (task) => task.status === "running");
    await killSidecar(rig);
    const done = await final(rig, uuid);
    t.match(done, { status: "succeeded", attempts: 1, tracking_id: running.tracking_id });
    t.equal(await timesSent(rig, uuid), 1);
  });

  await t.test("kill -9 between the sending and the 202: it is found by its name and followed", async (t) => {
    const uuid = await submit(rig, 25, { "x-misbehave": "delay=20000" });
    await reached(rig, uuid, (task) => task.status === "scheduled");
    await until(async () => (await timesSent(rig, uuid)) === 1 && (await knows(rig, uuid)));
    await killSidecar(rig);
    t.match(await final(rig, uuid), { status: "succeeded", attempts: 1, tracking_id: String });
    t.equal(await timesSent(rig, uuid), 1);
  });

  await t.test("a 202 that is cut short: it is found by its name and followed", async (t) => {
    const uuid = await submit(rig, 2, { "x-misbehave": "cut=5" });
    t.match(await final(rig, uuid), { status: "succeeded", attempts: 1, tracking_id: String });
    t.equal(await timesSent(rig, uuid), 1);
  });

  await t.test("a cancellation is remembered over kill -9, and told for what it is", async (t) => {
    const uuid = await submit(rig, 400);
    await reached(rig, uuid, (task) => task.status === "running");
    const asked = await fetch(`${rig.sluice.url}/tasks/${uuid}`, { method: "DELETE" });
    await killSidecar(rig);
    t.equal(asked.status, 202);
    t.match(await asked.json(), { uuid, status: "running", message: /will stop the run/ });
    const done = await final(rig, uuid);
    t.match(done, { status: "failed", reason: "cancelled", error_message: /cancelled while it ran/ });
    t.match(done.attempt_history, [{ attempt: 1, outcome: "cancelled", note: /cancelled/ }]);
  });

  await t.test("a run that somebody else cancels is not told as ours", async (t) => {
    const uuid = await submit(rig, 400);
    await reached(rig, uuid, (task) => task.status === "running");
    await fetch(`${rig.server.url}/cancel_training`, { method: "POST" });
    const done = await final(rig, uuid);
    t.match(done, { status: "failed", reason: "upstream_error", error_message: /nobody asked Sluice for that/ });
  });
});
