/** Trainings that meet trouble: a busy trainer, CMS's second run, a model server that is killed. */
import t from "tap";
import { startGazetteer } from "../helpers/gazetteer.js";
import { startMlflow } from "../helpers/mlflow.js";
import { detail, final, type Rig, reached, startRigs, submit, training } from "./training-rig.js";

t.test("trainings that meet trouble, each at its own model", async (t) => {
  const mlflow = await startMlflow(t, { username: "sluice", password: "secret" });
  const tracking = { uri: mlflow.uri, username: "sluice", password: "secret" };
  const settings = { tracking, scheduler: { lost_after: "3s" } };
  const [busy, trap, lost] = (await startRigs(t, ["busy", "trap", "lost"], settings)) as [Rig, Rig, Rig];

  await t.test("three trainings behind a trainer that an outsider keeps busy run in their order", async (t) => {
    const rig = busy;
    const outsider = await fetch(`${rig.server.url}/train_supervised?tracking_id=outsider`, training(10));
    const { run_id: activeRun } = (await outsider.json()) as { run_id: string };
    const uuids: string[] = [];
    for (let index = 0; index < 3; index++) uuids.push(await submit(rig, 1));

    const waiting = await reached(rig, uuids[0]!, (task) => task.error_message !== null);
    t.match(waiting, { status: "pending", reason: null });
    t.ok(waiting.error_message?.includes(activeRun), "the note names the run that is active");
    const plain = await fetch(`${rig.sluice.url}/models/${rig.model}/train_supervised`, training(1));
    t.equal(plain.status, 503, "a CMS client is told at once that the trainer is busy");
    t.match(await plain.json(), { message: /Another training/, run_id: activeRun });

    const done = await Promise.all(uuids.map((uuid) => final(rig, uuid)));
    t.same(
      done.map(({ status }) => status),
      ["succeeded", "succeeded", "succeeded"],
    );
    t.match(done[0]?.attempt_history, [
      { attempt: 1, outcome: "requeued", note: /busy with another training/ },
      { attempt: 2, outcome: "succeeded", note: null },
    ]);
    t.same(
      done.map(({ attempts }) => attempts),
      [2, 1, 1],
      "nobody overtook the first, so nobody else met the busy trainer",
    );
    const order = (await rig.server.requests()).filter((each) => each.url.startsWith("/train_supervised"));
    t.same(
      order.map(({ trackingId }) => trackingId),
      ["outsider", uuids[0], uuids[0], uuids[1], uuids[2]],
    );
  });

  await t.test("MLflow tells of a run before its model server, and of the sibling in the trap", async (t) => {
    const rig = trap;
    const uuid = await submit(rig, 1_000);
    const { tracking_id: runId } = await reached(rig, uuid, (task) => task.status === "running");
    const startedAt = Date.now();
    mlflow.put({ run_id: runId!, run_name: uuid, start_time: startedAt });
    mlflow.put({
      run_id: "sibling",
      run_name: "eager-fox-12",
      start_time: startedAt + 50,
      end_time: startedAt + 1_050,
      status: "FINISHED",
      metrics: { f1: 0.75 },
      params: { epochs: "1" },
      tags: { "training.output.model_uri": "mlflow-artifacts:/1/sibling/artifacts/m" },
    });
    t.match(await final(rig, uuid), { status: "succeeded", tracking_id: runId });
    const result = await (await fetch(`${rig.sluice.url}/tasks/${uuid}?download=true`)).json();
    t.match(result, {
      run: {
        run_id: runId,
        run_name: uuid,
        status: "FINISHED",
        internal_url: `${mlflow.uri}/#/experiments/1/runs/${runId}`,
      },
      metrics: { f1: 0.75 },
      params: { epochs: "1" },
      tags: { "training.output.model_uri": "mlflow-artifacts:/1/sibling/artifacts/m", "mlflow.runName": uuid },
    });
    t.notMatch(rig.sluice.lines.join("\n"), /secret/);
  });

  await t.test(
    "a training whose model server is killed ends as lost within the bound, and the next one can run",
    async (t) => {
      const rig = lost;
      const uuid = await submit(rig, 1_000);
      const next = await submit(rig, 1);
      await reached(rig, uuid, (task) => task.status === "running");
      rig.server.kill("SIGKILL");
      await rig.server.exited;
      const killedAt = Date.now();
      const done = await final(rig, uuid);
      t.match(done, { status: "failed", reason: "lost", error_message: /gone for 3 s/ });
      t.ok(Date.now() - killedAt < 60_000, `lost after ${Date.now() - killedAt} ms`);
      t.match((await detail(rig, next)).status, /^(pending|scheduled)$/, "it waits, or is just being refused");
      await startGazetteer(t, { port: rig.server.port });
      t.match(await final(rig, next), { status: "succeeded" });
    },
  );
});
