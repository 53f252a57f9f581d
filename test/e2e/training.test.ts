/** Trainings through the whole: followed over crashes of ours, never sent twice, in order behind a busy trainer, cancelled, lost. */
import t, { type Test } from "tap";
import { type RunningGazetteer, startGazetteer } from "../helpers/gazetteer.js";
import { startMlflow } from "../helpers/mlflow.js";
import { type RunningSluice, startSluice } from "../helpers/sluice.js";

/** Runs beside the others of its parent. */
const BESIDE = { buffered: true } as const;

interface Detail {
  readonly uuid: string;
  readonly status: string;
  readonly reason: string | null;
  readonly error_message: string | null;
  readonly tracking_id: string | null;
  readonly attempts: number;
  readonly attempt_history: { attempt: number; outcome: string | null; note: string | null }[];
}

interface Rig {
  readonly model: string;
  readonly server: RunningGazetteer;
  readonly sluice: RunningSluice;
}

/** One Sluice before a model server for each name; they dwell 100 ms on each document of a training. */
async function startRigs(t: Test, models: readonly string[], config: object = {}): Promise<Rig[]> {
  const args = ["--train-doc-ms", "100"];
  const servers = await Promise.all(
    models.map(async (model) => ({ model, server: await startGazetteer(t, { args }) })),
  );
  const entries = servers.map(({ model, server }) => ({ name: model, url: server.url }));
  const discovery = { static: entries, docker: { enabled: false as const } };
  const sluice = await startSluice(t, { config: { discovery, ...config } });
  return servers.map((each) => ({ ...each, sluice }));
}

function training(documents: number, headers: Record<string, string> = {}): RequestInit {
  const texts = Array.from({ length: documents }, (_, index) => ({
    id: index + 1,
    name: `d${index}`,
    text: "Patient with kidney failure",
    annotations: [],
  }));
  const trainerExport = { projects: [{ id: 1, name: "p", cuis: "", tuis: "", documents: texts }] };
  const body = new FormData();
  body.set("trainer_export", new Blob([JSON.stringify(trainerExport)], { type: "application/json" }), "export.json");
  return { method: "POST", body, headers };
}

async function submit(
  { model, sluice }: Rig,
  documents: number,
  headers: Record<string, string> = {},
): Promise<string> {
  const answer = await fetch(
    `${sluice.url}/models/${model}/tasks/train_supervised?test_size=0`,
    training(documents, headers),
  );
  return ((await answer.json()) as { uuid: string }).uuid;
}

/** Asks again while the sidecar is away: that is the point of these tests. */
async function detail({ sluice }: Rig, uuid: string, waitSeconds = 0): Promise<Detail> {
  for (let tries = 0; ; tries++) {
    const answer = await fetch(`${sluice.url}/tasks/${uuid}?detail=true&wait=${waitSeconds}`).catch(() => null);
    if (answer?.status === 200) return (await answer.json()) as Detail;
    if (tries === 100) throw new Error(`no detail of ${uuid}: ${answer?.status}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function reached(rig: Rig, uuid: string, holds: (task: Detail) => boolean): Promise<Detail> {
  for (let tries = 0; tries < 400; tries++) {
    const task = await detail(rig, uuid);
    if (holds(task)) return task;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${uuid} never came so far: ${JSON.stringify(await detail(rig, uuid))}`);
}

async function final(rig: Rig, uuid: string): Promise<Detail> {
  for (;;) {
    const task = await detail(rig, uuid, 20);
    if (task.status === "succeeded" || task.status === "failed") return task;
  }
}

async function killSidecar({ sluice }: Rig): Promise<void> {
  const restarted = sluice.nextEvent("restarted");
  process.kill(sluice.pids().sidecar, "SIGKILL");
  await restarted;
}

async function timesSent({ server }: Rig, uuid: string): Promise<number> {
  const seen = await server.requests();
  return seen.filter((each) => each.method === "POST" && each.trackingId === uuid).length;
}

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

t.test("trainings that meet trouble, each at its own model", async (t) => {
  const mlflow = await startMlflow(t, { username: "sluice", password: "secret" });
  const tracking = { uri: mlflow.uri, username: "sluice", password: "secret" };
  const settings = { tracking, scheduler: { lost_after: "3s" } };
  const [busy, trap, lost] = (await startRigs(t, ["busy", "trap", "lost"], settings)) as [Rig, Rig, Rig];
  t.jobs = 3;

  void t.test("three trainings behind a trainer that an outsider keeps busy run in their order", BESIDE, async (t) => {
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

  void t.test("MLflow tells of a run before its model server, and of the sibling in the trap", BESIDE, async (t) => {
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

  void t.test(
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
      t.ok(Date.now() - killedAt < 15_000, `lost after ${Date.now() - killedAt} ms`);
      t.equal((await detail(rig, next)).status, "pending");
      await startGazetteer(t, { port: rig.server.port });
      t.match(await final(rig, next), { status: "succeeded" });
    },
  );
});

async function knows({ server }: Rig, uuid: string): Promise<boolean> {
  return (await fetch(`${server.url}/train_eval_info?train_eval_id=${uuid}`)).status === 200;
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await holds()); tries++) {
    if (tries > 200) throw new Error("it never came to that");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
