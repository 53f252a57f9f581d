/** `sluice models` and `sluice on-demand` beside a running Sluice and real model servers. */
import t from "tap";
import { parseCpus, parseGpus, parseIdleTtl, parseLineCount, parseMemory, parseTtl } from "../../cli/arguments.js";
import { deployModel, startModel } from "../../cli/change-models.js";
import { updateOnDemand } from "../../cli/change-on-demand.js";
import { limitsOf } from "../../cli/on-demand.js";
import { formatSeconds } from "../../cli/terminal.js";
import { describeLoad } from "../../cli/wait-for-model.js";
import type { ModelEvent } from "../../core/contract/model-management.js";
import { startSluice } from "../helpers/sluice.js";
import { command } from "../sidecar/models/support.js";
import { runSluice } from "./programs/run-sluice.js";

const sluice = await startSluice(t, {
  config: {
    discovery: { docker: { enabled: false }, process: [{ name: "fixed", command: command(), idle_ttl: "5m" }] },
    models: { deployment: { driver: "process", process: { command: command() } } },
  },
});
const env = { SLUICE_URL: sluice.url, SLUICE_CONFIG: sluice.configFile, SLUICE_DATA_DIR: sluice.dataDir };

const run = async (...args: string[]) => {
  const { code, stdout, stderr } = await runSluice(args, { env });
  return { code, stdout: stdout.toString(), stderr };
};

t.test("a model is deployed, waited for, shown, read, watched and removed", async (t) => {
  const deployed = await run("models", "deploy", "mine", "--model-uri", "models:/mine/3", "--ttl", "2h", "--wait");
  t.match(deployed, { code: 0, stderr: "" });
  t.match(deployed.stdout, /^mine is ready, for 2 h \(process-\d+\)\.\n$/);
  const again = await run("models", "deploy", "mine", "--model-uri", "models:/mine/3");
  t.match(again, { code: 1, stdout: "", stderr: /already running\n {2}Remove it first/ });
  t.match((await run("models", "list")).stdout, /^mine\trunning\t.*\tmodels:\/mine\/3\t.*$/m);
  t.match(JSON.parse((await run("models", "show", "mine", "--json")).stdout), { name: "mine", state: "ready" });
  t.match(await run("models", "logs", "mine", "--tail", "3"), { code: 0, stderr: "" });

  const watching: { stop?: () => void } = {};
  const watched = runSluice(["models", "watch", "--json"], {
    env,
    onStart: (kill) => {
      watching.stop = () => kill("SIGINT");
    },
  });
  t.match(await run("models", "start", "fixed", "--wait", "--timeout", "20s"), {
    code: 0,
    stdout: "fixed is ready.\n",
  });
  t.match(await run("models", "stop", "fixed"), { code: 0, stdout: /^fixed is stopped/ });
  watching.stop!();
  const { code, stdout } = await watched;
  t.equal(code, 130);
  const events = stdout.toString().trimEnd().split("\n");
  const states = events.map((line) => JSON.parse(line) as ModelEvent).filter(({ model }) => model === "fixed");
  t.ok(
    states.some(({ state }) => state === "ready"),
    stdout.toString(),
  );
  t.equal(states.at(-1)!.state, "absent");

  t.match(await run("models", "remove", "mine"), { code: 0, stdout: "mine is removed.\n" });
});

t.test("on-demand configurations are made, listed, changed and gone back to", async (t) => {
  const made = ["on-demand", "create", "od", "--model-uri", "models:/od/1", "--idle-ttl", "30m"];
  t.match(await run(...made, "--memory", "2g", "--cpus", "1.5", "--gpus", "all"), {
    code: 0,
    stdout: "Version 1 of od is enabled.\n",
  });
  const inherited = JSON.parse(
    (await run("on-demand", "create", "od", "--model-uri", "models:/od/2", "--json")).stdout,
  );
  t.match(inherited, { id: 2, idle_ttl: 1_800, deploy: { resources: { reservations: { gpus: "all" } } } });
  t.equal(
    (await run("on-demand", "update", "od", "--clear-deploy", "--description", "d")).stdout,
    "Version 2 of od is changed.\n",
  );
  t.equal((await run("on-demand")).stdout, "od\t2\t30 min\tmodels:/od/2\t-\td\n");
  t.match(
    (await run("on-demand", "history", "od")).stdout,
    /^2\tyes\t.*\n1\tno\t.*memory 2g, 1\.5 cpus, all gpus\t-\n$/,
  );
  t.equal((await run("on-demand", "enable", "1")).stdout, "Version 1 of od is enabled.\n");
  t.match((await run("on-demand", "show", "od")).stdout, /^limits\tmemory 2g, 1\.5 cpus, all gpus$/m);
  t.equal((await run("models", "remove", "od", "--force")).stdout, "od is stopped; a request may start it again.\n");
  t.match((await run("on-demand", "disable", "od")).stdout, "sluice on-demand history od");
});

t.test("what is wrong on the command line is said before anything is asked", async (t) => {
  const refused = { exitCode: 2 };
  await t.rejects(deployModel("m", {}), { ...refused, message: /--model-uri URI, or --tracking-id RUN/ });
  await t.rejects(updateOnDemand("m", {}), { ...refused, message: /nothing to update/ });
  const unbounded = { ...refused, message: /--timeout bounds --wait/ };
  await t.rejects(deployModel("m", { modelUri: "models:/m/1", timeout: 5_000 }), unbounded);
  await t.rejects(startModel("m", { timeout: 5_000 }), unbounded);
  const cases: [() => unknown, RegExp][] = [
    [() => parseTtl("soon"), /whole seconds above 0, or a duration such as 90s, 5m or 2h, or 'never'\./],
    [() => parseTtl("0"), /whole seconds above 0/],
    [() => parseIdleTtl("never"), /whole seconds above 0, or a duration such as 90s, 5m or 2h\./],
    [() => parseLineCount("10001"), /0 to 10000/],
    [() => parseMemory("1gb"), /512m or 1\.5g/],
    [() => parseCpus("0"), /above 0/],
    [() => parseGpus("0"), /'all' or a whole number above 0/],
    [() => parseGpus("some"), /'all' or a whole number above 0/],
  ];
  for (const [parse, words] of cases) t.throws(parse, { message: words });
  t.same([parseTtl("never"), parseTtl("8h"), parseIdleTtl("30m"), parseGpus("2")], [-1, 28_800, 1_800, 2]);
});

t.test("a span of hours or days is not rounded to another one", async (t) => {
  const spans = [89, 5_399, 5_400, 7_200, 86_400, 129_600, 604_800, 1_296_000].map(formatSeconds);
  t.same(spans, ["89 s", "90 min", "1.5 h", "2 h", "24 h", "1.5 d", "7 d", "15 d"]);
});

t.test("a wait for a start that fails, or takes too long, ends with a reason and a hint", async (t) => {
  const late = await run("models", "start", "fixed", "--wait", "--timeout", "1ms");
  t.match(late, { code: 4, stderr: /fixed is not ready yet\n {2}It goes on\./ });
});

t.test("what is shown of a start", async (t) => {
  const event: ModelEvent = {
    model: "m",
    at: "",
    state: "starting",
    problem: null,
    started_seconds: 5,
    expected_seconds: 20,
  };
  t.equal(describeLoad("m", event, 5), "Starting m ████████████░░░░░░░░░░░░  10 s, the longest took 20 s");
  t.equal(describeLoad("m", event, 25), "Starting m ████████████████████████  30 s, longer than ever (20 s)");
  t.equal(describeLoad("m", { ...event, expected_seconds: null }, 1), "Starting m  6 s");
  const waiting = { ...event, started_seconds: null, problem: "it waits for memory" };
  t.equal(describeLoad("m", waiting, 1), "Starting m  it waits for memory");
  t.equal(limitsOf({ deploy: { resources: {} } }), null);
});
