/** The container image: built by a real daemon from the Dockerfile, run, asked, checked and stopped. */
import { readFileSync } from "node:fs";
import type Docker from "dockerode";
import t from "tap";
import { dockerSkipReason, startDocker } from "../helpers/docker.js";
import { buildImage } from "../helpers/image.js";
import { requireOrSkip } from "../helpers/services.js";

const IMAGE = "sluice-test:latest";
const HEALTHY_WITHIN_MS = 60_000;
const STOPPED_WITHIN_MS = 10_000;

interface RunningContainer {
  readonly container: Docker.Container;
  readonly url: string;
}

async function runImage(docker: Docker): Promise<RunningContainer> {
  await docker.createNetwork({ Name: "sluice-test", Driver: "bridge" });
  const container = await docker.createContainer({
    Image: IMAGE,
    // Its logs come as they are, without frames.
    Tty: true,
    HostConfig: { NetworkMode: "sluice-test" },
    // The image's check, more often.
    Healthcheck: { Interval: 1_000_000_000 },
  });
  await container.start();
  const { NetworkSettings } = await container.inspect();
  const address = NetworkSettings.Networks["sluice-test"]?.IPAddress;
  if (address === undefined || address === "") throw new Error(`the container has no address`);
  return { container, url: `http://${address}:8888` };
}

async function readLogs(container: Docker.Container): Promise<string> {
  return (await container.logs({ stdout: true, stderr: true, tail: 30 })).toString("utf8");
}

/** The health as Docker tells it, once it is no longer starting. */
async function waitForHealth(container: Docker.Container): Promise<string> {
  const untilMs = performance.now() + HEALTHY_WITHIN_MS;
  for (;;) {
    const { State } = await container.inspect();
    if (!State.Running) throw new Error(`the container ended with ${State.ExitCode}:\n${await readLogs(container)}`);
    const status = State.Health?.Status ?? "none";
    if (status !== "starting" || performance.now() > untilMs) return status;
    await new Promise((done) => setTimeout(done, 100));
  }
}

/** Healthy is who answers; ready is who knows its models, which may be a moment later. */
async function waitForReadiness(url: string): Promise<void> {
  const untilMs = performance.now() + HEALTHY_WITHIN_MS;
  while (performance.now() < untilMs) {
    const answer = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(5_000) }).catch(() => null);
    // Without its sidecar it is ready too, but knows no models.
    if (answer !== null && ((await answer.json()) as { status: string }).status === "ready") return;
    await new Promise((done) => setTimeout(done, 100));
  }
}

/** A process and everything below it, as the host sees them. */
function listTree(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ");
  return [pid, ...children.filter((word) => word !== "").flatMap((child) => listTree(Number(child)))];
}

t.test("the image serves the gazetteer, as a user of its own, and stops in order", async (t) => {
  if (!requireOrSkip(t, "docker", await dockerSkipReason())) return;
  const daemon = await startDocker();
  t.teardown(() => daemon.stop());
  const docker = daemon.client;
  await buildImage(docker, t.testdir(), IMAGE);

  const { Config } = await docker.getImage(IMAGE).inspect();
  t.equal(Config.User, "10001:10001");
  t.equal(Config.Labels["org.opencontainers.image.title"], "Sluice");
  t.ok(Object.hasOwn(Config.Volumes, "/data"));

  const { container, url } = await runImage(docker);
  t.equal(await waitForHealth(container), "healthy");
  await waitForReadiness(url);

  await t.test("it answers on its address", async (t) => {
    const answer = await fetch(`${url}/livez`, { signal: AbortSignal.timeout(5_000) });
    t.equal(answer.status, 200);
    await answer.arrayBuffer();
  });

  await t.test("the model it brings along is started and annotates", async (t) => {
    const answer = await fetch(`${url}/models/gazetteer/process`, {
      method: "POST",
      headers: { "content-type": "text/plain" },
      body: "Seen on 3 March 2021 by Dr Khan, tel 020 7946 0958",
      signal: AbortSignal.timeout(30_000),
    });
    const text = await answer.text();
    t.equal(answer.status, 200, text);
    const { annotations } = JSON.parse(text) as { annotations: unknown[] };
    t.ok(annotations.length >= 3, "the date, the doctor and the phone number");
  });

  await t.test("a task is written into the volume and answered", async (t) => {
    const answer = await fetch(`${url}/models/gazetteer/process_bulk`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(["Seen on 3 March 2021"]),
      signal: AbortSignal.timeout(30_000),
    });
    t.equal(answer.status, 200, await answer.text());
    t.ok(answer.headers.has("sluice-task-id"));
  });

  await t.test("no process in it is root's", async (t) => {
    const { State } = await container.inspect();
    const users = listTree(State.Pid).map(
      (pid) => /^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1],
    );
    t.ok(users.length >= 3, "supervisor, sidecar and proxy");
    t.same([...new Set(users)], ["10001"]);
  });

  await t.test("SIGTERM ends it within seconds and with 0", async (t) => {
    const startMs = performance.now();
    const ended = container.wait() as Promise<{ StatusCode: number }>;
    await container.kill({ signal: "SIGTERM" });
    t.equal((await ended).StatusCode, 0, await readLogs(container));
    t.ok(performance.now() - startMs < STOPPED_WITHIN_MS);
  });
});
