import t from "tap";
import type { ModelEntry } from "../../../core/contract/models.js";
import { closedPort, configOf, startCatalogue, startServer, until } from "./support.js";

const WAIT_MS = 10_000;

t.test("a static model is known at once and routable after its first good check", async (t) => {
  const { url } = await startServer(t);
  const { catalogue } = await startCatalogue(t, { discovery: { static: [{ name: "m", url, concurrency: 3 }] } });
  t.match(catalogue.get("m"), { state: "starting", url, onDemand: false, source: "static", concurrency: 3 });
  await catalogue.allFirstRoundDone;
  t.match(catalogue.get("m"), { state: "ready" });
});

t.test("the first round is over even when a static model does not answer, and it is found when it comes", async (t) => {
  const port = await closedPort();
  const url = `http://127.0.0.1:${port}`;
  const { catalogue } = await startCatalogue(t, { discovery: { static: [{ name: "late", url }] } });
  await catalogue.allFirstRoundDone;
  t.match(catalogue.get("late"), { state: "starting" });
  await t.rejects(catalogue.ensureReady("late", 10), { code: "MODEL_NOT_READY", retryAfterMs: 1_000 });
  const waiting = catalogue.ensureReady("late", WAIT_MS);
  await startServer(t, "--port", String(port));
  t.match(await waiting, { state: "ready", url });
});

t.test(
  "a server on a blocking route is never ejected, one that refuses three times is, and both come back",
  async (t) => {
    const port = await closedPort();
    const { url, child } = await startServer(t, "--port", String(port));
    const { catalogue } = await startCatalogue(t, { discovery: { static: [{ name: "m", url }] } });
    await catalogue.ensureReady("m", WAIT_MS);
    const states: string[] = [];
    t.teardown(catalogue.onChange((models) => states.push(models[0]!.state)));

    await (await fetch(`${url}/block?ms=7000`)).text();
    await (await fetch(`${url}/healthz`)).text();
    t.strictSame(states, [], "a check that ran into its bound of 5 s changed nothing");

    const refused = Date.now();
    child.kill("SIGKILL");
    await until(() => states.includes("unreachable"), "unreachable");
    t.ok(Date.now() - refused >= 150, "not at the first refusal");
    t.match(catalogue.get("m"), { state: "unreachable", url, problem: /refuses connections/ });
    await startServer(t, "--port", String(port));
    await until(() => catalogue.get("m")?.state === "ready", "ready again");
    t.strictSame(states, ["unreachable", "ready"]);
  },
);

t.test("a new configuration adds, removes and moves static models and leaves the others alone", async (t) => {
  const [one, two, three] = await Promise.all([startServer(t), startServer(t), startServer(t)]);
  const of = (...pairs: [string, string][]) => ({
    discovery: { static: pairs.map(([name, url]) => ({ name, url })) },
  });
  const { catalogue } = await startCatalogue(t, of(["keep", one.url], ["move", two.url], ["drop", two.url]));
  await Promise.all(["keep", "move", "drop"].map((name) => catalogue.ensureReady(name, WAIT_MS)));
  const seen: ModelEntry[][] = [];
  t.teardown(catalogue.onChange((models) => seen.push(models)));

  catalogue.reconfigure(configOf(of(["keep", one.url], ["move", three.url], ["new", two.url])));
  t.equal(catalogue.get("drop"), undefined);
  await t.rejects(catalogue.ensureReady("drop", 0), { code: "MODEL_UNKNOWN" });
  t.match(await catalogue.ensureReady("move", WAIT_MS), { url: three.url, state: "ready" });
  t.match(await catalogue.ensureReady("new", WAIT_MS), { url: two.url, state: "ready" });
  const keeps = seen.map((models) => models.find(({ name }) => name === "keep")?.state);
  t.ok(keeps.length > 0 && keeps.every((state) => state === "ready"), "the untouched one was ready all the time");
  t.ok(seen.length <= 4, `changes were published together (${seen.length} times)`);

  catalogue.reconfigure(configOf({ discovery: { static: [{ name: "keep", url: one.url, concurrency: 9 }] } }));
  t.match(catalogue.get("keep"), { state: "ready", concurrency: 9 });
});

t.test("those who wait for a model that is moved get it at its new place", async (t) => {
  const { url } = await startServer(t);
  const away = `http://127.0.0.1:${await closedPort()}`;
  const { catalogue } = await startCatalogue(t, { discovery: { static: [{ name: "m", url: away }] } });
  const waiting = catalogue.ensureReady("m", WAIT_MS);
  await catalogue.allFirstRoundDone;
  catalogue.reconfigure(configOf({ discovery: { static: [{ name: "m", url }] } }));
  t.match(await waiting, { state: "ready", url });
});

t.test("those who wait for a model that is taken out of the configuration are told", async (t) => {
  const url = `http://127.0.0.1:${await closedPort()}`;
  const { catalogue } = await startCatalogue(t, { discovery: { static: [{ name: "m", url }] } });
  const waiting = catalogue.ensureReady("m", WAIT_MS);
  waiting.catch(() => undefined);
  await catalogue.allFirstRoundDone;
  catalogue.reconfigure(configOf({}));
  await t.rejects(waiting, { code: "MODEL_UNKNOWN" });
});
