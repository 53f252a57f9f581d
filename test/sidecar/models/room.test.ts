import { join } from "node:path";
import t from "tap";
import { onDemand, type Rig, startManaged, templateOf, WAIT_MS } from "./managed-rig.js";
import { folderOf, linesOf, until } from "./support.js";

const amount = (memory: string) => ({ deploy: { resources: { limits: { memory } } } });

/** Resolves when each of them may be started at once. */
async function define({ management, catalogue }: Rig, ...names: string[]): Promise<void> {
  for (const name of names) await management.onDemand.create(onDemand(name));
  for (const { begun } of catalogue.managed.servers.all) await begun;
}

t.test("of three models two fit: the longest idle one makes room, and only that one", async (t) => {
  const rig = await startManaged(
    t,
    templateOf([], { models: { deployment: { memory: { budget: "2GiB", default: "1GiB" } } } }),
  );
  const { catalogue, clock, lines } = rig;
  await define(rig, "a", "b", "c");
  await catalogue.ensureReady("a", WAIT_MS);
  await catalogue.ensureReady("b", WAIT_MS);
  catalogue.lease("a", "a request")();
  await clock.sleep(3_000);
  t.match(await catalogue.ensureReady("c", WAIT_MS), { state: "ready", problem: null });
  t.equal(catalogue.get("a")?.state, "ready", "used last");
  t.equal(catalogue.get("b")?.state, "absent");
  t.match(
    lines.filter(({ event }) => event === "model_evicted"),
    [{ model: "b", for: "c" }],
  );
});

t.test("what does not fit waits and says so, and starts when something in use becomes free", async (t) => {
  const rig = await startManaged(
    t,
    templateOf([], { models: { deployment: { memory: { budget: "1GiB", default: "1GiB" } } } }),
  );
  const { catalogue } = rig;
  await define(rig, "a", "b");
  await catalogue.ensureReady("a", WAIT_MS);
  const release = catalogue.lease("a", "a request");
  await t.rejects(catalogue.ensureReady("b", 3_000), {
    code: "MODEL_NOT_READY",
    message: /starting: it waits for memory: it needs 1 GiB, 0 MiB of models\.deployment\.memory\.budget is free/,
  });
  await until(() => catalogue.get("b")?.state === "absent", "its wait to be called off, since nobody waits for it");
  t.equal(catalogue.get("a")?.state, "ready");
  const waiting = catalogue.ensureReady("b", WAIT_MS);
  await until(() => catalogue.get("b")?.problem?.startsWith("it waits for memory"), "the problem");
  release();
  t.match(await waiting, { state: "ready", problem: null });
  t.equal(catalogue.get("a")?.state, "absent");
});

t.test("what can never fit is refused at once, and not tried again", async (t) => {
  const rig = await startManaged(t, templateOf([], { models: { deployment: { memory: { budget: "1GiB" } } } }));
  await rig.management.onDemand.create(onDemand("m", amount("3g")));
  await t.rejects(rig.catalogue.ensureReady("m", WAIT_MS), {
    code: "MODEL_START_FAILED",
    message: /needs 3 GiB of memory and models\.deployment\.memory\.budget is 1 GiB/,
  });
  t.notOk(rig.lines.some(({ event }) => event === "model_retry"));
});

t.test("two that must never be together take turns", async (t) => {
  const rig = await startManaged(t, templateOf([], { models: { deployment: { never_together: [["a", "b"]] } } }));
  const { catalogue } = rig;
  await define(rig, "a", "b", "c");
  await Promise.all(["a", "c"].map((name) => catalogue.ensureReady(name, WAIT_MS)));
  await catalogue.ensureReady("b", WAIT_MS);
  t.equal(catalogue.get("a")?.state, "absent");
  t.equal(catalogue.get("c")?.state, "ready", "nobody keeps it apart");
});

t.test("no more starts at a time than the cap allows, first come first served", async (t) => {
  const starts = join(folderOf(t), "starts");
  const config = templateOf(["--starts", starts, "--ready-after", "600"], {
    models: { deployment: { auto: { max_concurrent_deployments: 1, health_check_timeout: "10m" } } },
  });
  const rig = await startManaged(t, config);
  const { catalogue } = rig;
  await define(rig, "a", "b", "c");
  const order: string[] = [];
  const all = ["b", "c", "a"].map((name) => catalogue.ensureReady(name, WAIT_MS).then(() => order.push(name)));
  await until(() => catalogue.get("c")?.problem?.includes("max_concurrent_deployments is 1"), "what it waits for");
  t.equal(linesOf(starts).length <= 1, true);
  await Promise.all(all);
  t.strictSame(order, ["b", "c", "a"]);
});

t.test("amounts that mean nothing fail the start of their model, in words, and harm no other", async (t) => {
  const rig = await startManaged(t, templateOf([]));
  const { management, catalogue } = rig;
  const deployOf = (limits: { memory?: string; cpus?: string }) => ({ deploy: { resources: { limits } } });
  await management.onDemand.create(onDemand("words", deployOf({ cpus: "many" })));
  await management.onDemand.create(onDemand("nothing", deployOf({ memory: "0m" })));
  await management.onDemand.create(onDemand("whole"));
  await t.rejects(catalogue.ensureReady("words", WAIT_MS), {
    code: "MODEL_START_FAILED",
    message: /cpus 'many' is no number above 0/,
  });
  await t.rejects(catalogue.ensureReady("nothing", WAIT_MS), {
    code: "MODEL_START_FAILED",
    message: /memory '0m' is no amount above 0/,
  });
  t.match(await catalogue.ensureReady("whole", WAIT_MS), { state: "ready" });
  await rig.close();
});
