/** Sluice before model servers that train, for the tests of trainings. */
import type { Test } from "tap";
import { type RunningGazetteer, startGazetteer } from "../helpers/gazetteer.js";
import { type RunningSluice, startSluice } from "../helpers/sluice.js";

export interface Detail {
  readonly uuid: string;
  readonly status: string;
  readonly reason: string | null;
  readonly error_message: string | null;
  readonly tracking_id: string | null;
  readonly attempts: number;
  readonly attempt_history: { attempt: number; outcome: string | null; note: string | null }[];
}

export interface Rig {
  readonly model: string;
  readonly server: RunningGazetteer;
  readonly sluice: RunningSluice;
}

/** One Sluice before a model server for each name; they dwell 100 ms on each document of a training. */
export async function startRigs(t: Test, models: readonly string[], config: object = {}): Promise<Rig[]> {
  const args = ["--train-doc-ms", "100"];
  const servers = await Promise.all(
    models.map(async (model) => ({ model, server: await startGazetteer(t, { args }) })),
  );
  const entries = servers.map(({ model, server }) => ({ name: model, url: server.url }));
  const discovery = { static: entries, docker: { enabled: false as const } };
  const sluice = await startSluice(t, { config: { discovery, ...config } });
  return servers.map((each) => ({ ...each, sluice }));
}

export function training(documents: number, headers: Record<string, string> = {}): RequestInit {
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

export async function submit(
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
export async function detail({ sluice }: Rig, uuid: string, waitSeconds = 0): Promise<Detail> {
  for (let tries = 0; ; tries++) {
    const answer = await fetch(`${sluice.url}/tasks/${uuid}?detail=true&wait=${waitSeconds}`).catch(() => null);
    if (answer?.status === 200) return (await answer.json()) as Detail;
    if (tries === 100) throw new Error(`no detail of ${uuid}: ${answer?.status}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

export async function reached(rig: Rig, uuid: string, holds: (task: Detail) => boolean): Promise<Detail> {
  for (let tries = 0; tries < 400; tries++) {
    const task = await detail(rig, uuid);
    if (holds(task)) return task;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${uuid} never came so far: ${JSON.stringify(await detail(rig, uuid))}`);
}

export async function final(rig: Rig, uuid: string): Promise<Detail> {
  for (;;) {
    const task = await detail(rig, uuid, 20);
    if (task.status === "succeeded" || task.status === "failed") return task;
  }
}

export async function killSidecar({ sluice }: Rig): Promise<void> {
  const restarted = sluice.nextEvent("restarted");
  process.kill(sluice.pids().sidecar, "SIGKILL");
  await restarted;
}

export async function timesSent({ server }: Rig, uuid: string): Promise<number> {
  const seen = await server.requests();
  return seen.filter((each) => each.method === "POST" && each.trackingId === uuid).length;
}

export async function knows({ server }: Rig, uuid: string): Promise<boolean> {
  return (await fetch(`${server.url}/train_eval_info?train_eval_id=${uuid}`)).status === 200;
}

export async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await holds()); tries++) {
    if (tries > 200) throw new Error("it never came to that");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
