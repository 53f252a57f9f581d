import { writeFileSync } from "node:fs";
import { join } from "node:path";
import t, { type Test } from "tap";
import type { ConfigInput } from "../../../config/schema.js";
import { startManaged, WAIT_MS } from "./managed-rig.js";
import { command, folderOf, isAlive, linesOf, until } from "./support.js";
import { VersionsToFollow } from "./versions-to-follow.js";

interface Given {
  readonly follow?: string;
  readonly switches?: readonly string[];
  readonly deployment?: NonNullable<ConfigInput["models"]>["deployment"];
  readonly port?: number;
}

async function startFollower(t: Test, { follow = "latest", switches = [], deployment = {}, port = 0 }: Given = {}) {
  const folder = folderOf(t);
  const [starts, bad, dataDir] = ["starts", "bad", "data"].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  const versions = await VersionsToFollow.open(dataDir, t);
  await versions.add("m");
  await versions.point("m", "champion", 1);
  const run = command("--starts", starts, "--bad-file", bad, ...switches, "--", "{model_uri}");
  const config: ConfigInput = {
    discovery: { process: [{ name: "m", command: run, port, model_uri: `sluice://m/${follow}`, follow }] },
    models: {
      deployment: { auto: { health_check_timeout: "10m", deployment_retry_attempts: 0 }, ...deployment },
    },
  };
  const rig = await startManaged(t, config, dataDir, { registry: versions.registry });
  const { catalogue } = rig;
  return {
    ...rig,
    versions,
    config,
    fails: (...uris: string[]) => writeFileSync(bad, uris.join("\n")),
    pids: () => linesOf(starts).map(Number),
    start: () => catalogue.ensureReady("m", WAIT_MS),
    runs: (uri: string) =>
      until(() => catalogue.get("m")?.state === "ready" && catalogue.get("m")?.modelUri === uri, `${uri} to serve`),
    state: () => catalogue.managed.rollouts.state("m"),
    phase: (phase: string) => until(() => catalogue.managed.rollouts.state("m")?.phase === phase, phase),
    event: (event: string) => until(() => rig.lines.find((line) => line.event === event), event),
  };
}

async function who(url: string | null, ms = 0): Promise<{ pid: number; arguments: string[] }> {
  return (await fetch(`${url}/who?ms=${ms}`)).json() as Promise<{ pid: number; arguments: string[] }>;
}

t.test(
  "a new version is started beside the present one, takes its place once it is ready, and that one ends",
  async (t) => {
    const { versions, start, runs, catalogue, pids, metrics, phase } = await startFollower(t);
    const first = await start();
    t.equal(first.modelUri, "sluice://m/1");
    const seen: string[] = [];
    const forget = catalogue.onChange(([model]) => void seen.push(`${model!.state} ${model!.modelUri}`));
    await versions.add("m");
    await runs("sluice://m/2");
    forget();
    t.strictSame(
      new Set(seen.map((each) => each.split(" ")[0])),
      new Set(["ready"]),
      "there was always one that served",
    );
    const second = catalogue.get("m")!;
    t.strictSame((await who(second.url)).arguments, ["sluice://m/2"]);
    t.not(second.serverId, first.serverId);
    await until(() => !isAlive(pids()[0]!), "the former one's end");
    t.ok(isAlive(pids()[1]!));
    t.equal(pids().length, 2);
    await phase("settled");
    t.match(await metrics(), /sluice_model_rollouts_total\{model="m",outcome="switched"\} 1/);
  },
);

t.test("a call that began on the former one is served to its end, and holds nothing but that", async (t) => {
  const { versions, start, runs, catalogue, pids, state } = await startFollower(t);
  const { url } = await start();
  const release = catalogue.lease("m", "a call", "server");
  const waiting = catalogue.lease("m", "waiting tasks");
  await versions.add("m");
  await runs("sluice://m/2");
  t.equal(state()!.formerServers, 1);
  await new Promise((resolve) => setTimeout(resolve, 300));
  t.equal((await who(url)).pid, pids()[0], "it answers on");
  release();
  await until(() => !isAlive(pids()[0]!), "its end");
  await until(() => state()!.formerServers === 0, "its going");
  waiting();
});

t.test("nothing is changed while a training is under way on the present one", async (t) => {
  const { versions, start, runs, catalogue, state, phase, pids } = await startFollower(t);
  await start();
  const release = catalogue.lease("m", "a training", "training");
  await versions.add("m");
  await phase("waiting");
  t.match(state()!.problem, /training/);
  await new Promise((resolve) => setTimeout(resolve, 300));
  t.equal(pids().length, 1);
  release();
  await runs("sluice://m/2");
});

t.test(
  "a version that does not run leaves the one before in place, and is tried again for an operator alone",
  async (t) => {
    const { versions, start, runs, fails, phase, state, catalogue, management, pids, metrics } = await startFollower(t);
    const { serverId } = await start();
    fails("sluice://m/2");
    await versions.add("m");
    await phase("failed");
    t.match(state(), { wanted: "sluice://m/2", problem: /exited with code 11/ });
    t.match(catalogue.get("m"), { state: "ready", serverId: serverId!, modelUri: "sluice://m/1" });
    const tries = pids().length;
    await versions.add("another");
    await new Promise((resolve) => setTimeout(resolve, 300));
    t.equal(pids().length, tries, "not again by itself");
    t.match(await metrics(), /sluice_model_rollouts_total\{model="m",outcome="failed"\} 1/);
    await management.stop("m");
    t.match(await start(), { modelUri: "sluice://m/1" }, "nor by a start: the last good one is taken");
    fails();
    management.start("m");
    await runs("sluice://m/2");
    t.equal(state()!.problem, null);
  },
);

t.test("a version that failed is forgotten when another one comes", async (t) => {
  const { versions, start, runs, fails, phase } = await startFollower(t);
  await start();
  fails("sluice://m/2");
  await versions.add("m");
  await phase("failed");
  await versions.add("m");
  await runs("sluice://m/3");
  await phase("settled");
});

t.test("an alias that is moved brings its version, back and forth", async (t) => {
  const { versions, start, runs, pids } = await startFollower(t, { follow: "champion" });
  await start();
  await versions.add("m");
  await new Promise((resolve) => setTimeout(resolve, 200));
  t.equal(pids().length, 1, "a newer version alone changes nothing");
  await versions.point("m", "champion", 2);
  await runs("sluice://m/2");
  await versions.point("m", "champion", 1);
  await runs("sluice://m/1");
});

t.test("the newest version's deletion brings the one before", async (t) => {
  const { versions, start, runs } = await startFollower(t);
  await versions.add("m");
  t.match(await start(), { modelUri: "sluice://m/2" });
  await versions.remove("m", 2);
  await runs("sluice://m/1");
});

t.test("a burst of versions ends with the newest", async (t) => {
  const { versions, start, runs, pids, phase } = await startFollower(t);
  await start();
  for (let number = 2; number <= 6; number++) {
    await versions.add("m");
    await new Promise((resolve) => setTimeout(resolve, 40));
  }
  await runs("sluice://m/6");
  await phase("settled");
  await until(() => pids().filter(isAlive).length === 1, "one alone at the end");
});

t.test("a model that does not run is left alone, and its next start takes the newest", async (t) => {
  const { versions, start, catalogue, pids } = await startFollower(t);
  await versions.add("m");
  await new Promise((resolve) => setTimeout(resolve, 100));
  t.equal(catalogue.get("m")!.state, "absent");
  t.match(await start(), { modelUri: "sluice://m/2" });
  t.equal(pids().length, 1);
});

const TIGHT = { memory: { budget: "100MiB", default: "60MiB" } } as const;

t.test("where two have no room the present one is stopped first, once nothing holds it", async (t) => {
  const { versions, start, runs, catalogue, pids, phase, state } = await startFollower(t, { deployment: TIGHT });
  await start();
  const release = catalogue.lease("m", "a request");
  await versions.add("m");
  await phase("waiting");
  t.match(state()!.problem, /in use/);
  t.ok(isAlive(pids()[0]!));
  release();
  await until(() => !isAlive(pids()[0]!), "its stop");
  t.match(await start(), { modelUri: "sluice://m/2" }, "whoever comes meanwhile is served by the new one");
  await runs("sluice://m/2");
});

t.test(
  "the one that was stopped first is started again when the new version does not run, for those who wait too",
  async (t) => {
    const { versions, start, fails, pids, phase, state } = await startFollower(t, { deployment: TIGHT });
    await start();
    fails("sluice://m/2");
    await versions.add("m");
    await until(() => !isAlive(pids()[0]!), "its stop");
    t.match(await start(), { state: "ready", modelUri: "sluice://m/1" });
    await phase("failed");
    t.match(state()!.problem, /exited with code 11/);
  },
);

t.test("models that never run together, and one with a port of its own, are stopped first", async (t) => {
  for (const given of [
    { deployment: { never_together: [["m", "other"]] } },
    { port: 20_000 + Math.floor(Math.random() * 10_000) },
  ]) {
    await t.test(JSON.stringify(Object.keys(given)), async (t) => {
      const { versions, start, runs, pids } = await startFollower(t, given);
      await start();
      await versions.add("m");
      await until(() => !isAlive(pids()[0]!), "its stop");
      t.notOk(pids().length === 2 && isAlive(pids()[0]!));
      await runs("sluice://m/2");
    });
  }
});

t.test("a present server that dies while the new one starts is followed by the new one", async (t) => {
  const { versions, start, pids, phase, catalogue } = await startFollower(t, {
    switches: ["--ready-after", "300"],
  });
  const { serverId } = await start();
  await versions.add("m");
  await phase("starting");
  await until(() => pids().length === 2, "the new one's program");
  process.kill(pids()[0]!, "SIGKILL");
  await until(() => catalogue.get("m")!.serverId !== serverId, "the old one's end");
  t.match(await start(), { modelUri: "sluice://m/2", serverId: `process-${pids()[1]}` });
  t.equal(pids().length, 2);
});

t.test("a stop in the middle ends both", async (t) => {
  const { versions, start, pids, phase, management, catalogue } = await startFollower(t, {
    switches: ["--ready-after", "400"],
  });
  await start();
  await versions.add("m");
  await phase("starting");
  await until(() => pids().length === 2, "the new one's program");
  await management.stop("m");
  await until(() => pids().every((pid) => !isAlive(pid)), "their end");
  t.equal(catalogue.get("m")!.state, "absent");
});

t.test("an entry that the configuration loses in the middle leaves nothing behind", async (t) => {
  const { versions, start, pids, phase, reload, catalogue } = await startFollower(t, {
    switches: ["--ready-after", "400"],
  });
  await start();
  await versions.add("m");
  await phase("starting");
  await until(() => pids().length === 2, "the new one's program");
  reload({});
  await until(() => catalogue.get("m") === undefined, "its going");
  await until(() => pids().every((pid) => !isAlive(pid)), "their end");
});
