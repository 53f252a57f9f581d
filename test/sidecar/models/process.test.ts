import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { rotateServerLog } from "../../../sidecar/models/drivers/server-log.js";
import { requireOrSkip } from "../../helpers/services.js";
import { mountSmallDisk } from "../../helpers/small-disk.js";
import { command, configOf, folderOf, isAlive, linesOf, startCatalogue, startServer, until } from "./support.js";

const WAIT_MS = 20_000;

t.test("two hundred waiters cause one start and all get the ready model", async (t) => {
  const starts = join(folderOf(t), "starts");
  const { catalogue } = await startCatalogue(t, {
    discovery: { process: [{ name: "m", command: command("--starts", starts, "--ready-after", "200") }] },
  });
  t.match(catalogue.get("m"), { state: "absent", url: null, onDemand: true, source: "process", problem: null });
  const entries = await Promise.all(Array.from({ length: 200 }, () => catalogue.ensureReady("m", WAIT_MS)));
  t.equal(linesOf(starts).length, 1);
  t.ok(entries.every((entry) => entry.state === "ready" && entry.url === entries[0]!.url));
  const answer = await fetch(`${entries[0]!.url}/healthz`);
  t.equal(await answer.text(), "OK");
  t.match(catalogue.get("m"), { state: "ready", url: /^http:\/\/127\.0\.0\.1:\d+$/ });
});

t.test("a server that is never ready has failed at the bound, its waiters are told and it is gone", async (t) => {
  const starts = join(folderOf(t), "starts");
  const { catalogue } = await startCatalogue(t, {
    models: { deployment: { auto: { health_check_timeout: "800ms" } } },
    discovery: { process: [{ name: "m", command: command("--never-ready", "--starts", starts) }] },
  });
  const began = Date.now();
  const results = await Promise.allSettled([catalogue.ensureReady("m", WAIT_MS), catalogue.ensureReady("m", WAIT_MS)]);
  t.ok(Date.now() - began < 20_000, "within the bound");
  for (const result of results) {
    t.match(result, { status: "rejected", reason: { code: "MODEL_START_FAILED", message: /not ready within 0.8 s/ } });
  }
  t.match(catalogue.get("m"), { state: "failed", problem: /not ready within 0.8 s/, url: null });
  const [pid] = linesOf(starts);
  await until(() => !isAlive(Number(pid)), "its end");
});

t.test("a waiter whose own patience ends is told to come back, and the start goes on", async (t) => {
  const { catalogue } = await startCatalogue(t, {
    discovery: { process: [{ name: "m", command: command("--ready-after", "400") }] },
  });
  await t.rejects(catalogue.ensureReady("m", 20), {
    code: "MODEL_NOT_READY",
    retryAfterMs: 1_000,
    // What an earlier sidecar may have left is looked for first.
    message: /starting|absent/,
  });
  const gone = new AbortController();
  const waiting = catalogue.ensureReady("m", WAIT_MS, gone.signal);
  gone.abort();
  await t.rejects(waiting, { code: "CLIENT_GONE" });
  t.match(await catalogue.ensureReady("m", WAIT_MS), { state: "ready" });
  await t.rejects(catalogue.ensureReady("other", 0), { code: "MODEL_UNKNOWN", message: /not available.*\['m'\]/ });
});

t.test(
  "a server that ends at once is tried again, then has failed with its exit code; the next request tries anew",
  async (t) => {
    const [starts, flag] = [join(folderOf(t), "starts"), join(folderOf(t), "broken")];
    writeFileSync(flag, "");
    const { catalogue, lines } = await startCatalogue(t, {
      models: { deployment: { auto: { deployment_retry_attempts: 1, health_check_timeout: "20s" } } },
      discovery: { process: [{ name: "m", command: command("--starts", starts, "--exit-while", flag) }] },
    });
    await t.rejects(catalogue.ensureReady("m", WAIT_MS), {
      code: "MODEL_START_FAILED",
      message: /exited with code 9 before it was ready/,
    });
    t.equal(linesOf(starts).length, 2, "one start and one retry");
    t.ok(lines.some(({ event }) => event === "model_retry"));
    rmSync(flag);
    t.match(await catalogue.ensureReady("m", WAIT_MS), { state: "ready", problem: null });
  },
);

t.test("a program that does not exist fails with a reason that names no path", async (t) => {
  const { catalogue } = await startCatalogue(t, {
    models: { deployment: { auto: { deployment_retry_attempts: 0 } } },
    discovery: { process: [{ name: "m", command: ["/nowhere/secret-program"] }] },
  });
  await t.rejects(catalogue.ensureReady("m", WAIT_MS), { code: "MODEL_START_FAILED", message: /ENOENT/ });
  t.notMatch(catalogue.get("m")?.problem, /secret-program/);
});

t.test(
  "a server that dies while ready is absent at once, its exit is logged, the next request starts it",
  async (t) => {
    const starts = join(folderOf(t), "starts");
    const { catalogue, lines } = await startCatalogue(t, {
      discovery: { process: [{ name: "m", command: command("--starts", starts) }] },
    });
    const { url } = await catalogue.ensureReady("m", WAIT_MS);
    await fetch(`${url}/die`).catch(() => undefined);
    await until(() => catalogue.get("m")?.state === "absent", "absent");
    t.equal(catalogue.get("m")?.url, null);
    t.match(
      lines.find(({ event }) => event === "model_exited"),
      { model: "m", reason: "exited with code 7" },
    );
    t.match(await catalogue.ensureReady("m", WAIT_MS), { state: "ready" });
    t.equal(linesOf(starts).length, 2);
  },
);

t.test("what is filled into a command reaches the program as it is, one argument each", async (t) => {
  const seen = join(folderOf(t), "seen");
  const uri = 's3://$(touch /tmp/x)/`id`; rm -rf "*"\nsecond {port} line';
  process.env.SLUICE_SECRET_FOR_TEST = "hidden";
  process.env.CMG_SECRET_FOR_TEST = "hidden";
  t.teardown(() => {
    delete process.env.SLUICE_SECRET_FOR_TEST;
    delete process.env.CMG_SECRET_FOR_TEST;
  });
  const args = [
    "--seen",
    seen,
    "--",
    "{model_uri}",
    "--evil={model_type}",
    "-x",
    "{model_path}",
    "{name}:{port}",
    '{"a":1}',
  ];
  const { catalogue } = await startCatalogue(t, {
    discovery: {
      process: [
        {
          name: "m.1",
          command: command(...args),
          model_uri: uri,
          model_type: "--help",
          env: { WHERE: "{name}:{port}" },
        },
      ],
    },
  });
  const { url } = await catalogue.ensureReady("m.1", WAIT_MS);
  const { port } = new URL(url!);
  const { argv, env } = JSON.parse(readFileSync(seen, "utf8")) as { argv: string[]; env: Record<string, string> };
  t.strictSame(argv, ["--port", port, "--seen", seen, "--", uri, "--evil=--help", "-x", "", `m.1:${port}`, '{"a":1}']);
  t.equal(env.WHERE, `m.1:${port}`);
  t.equal(env.PATH, process.env.PATH);
  t.notOk(JSON.stringify(env).includes("hidden"), "our own settings stay with us");
});

t.test("an unknown placeholder is refused with the configuration", async (t) => {
  const given = { name: "m", command: ["x", "{prot}"], env: { A: "{model}" } };
  t.throws(
    () => configOf({ discovery: { process: [given] } }),
    /\{prot\} is no placeholder[\s\S]*\{model\} is no placeholder/,
  );
});

t.test("stopping leaves nothing of the group behind, not even a grandchild that ignores SIGTERM", async (t) => {
  const folder = folderOf(t);
  const [starts, grandchild] = [join(folder, "starts"), join(folder, "grandchild")];
  const { catalogue, dataDir } = await startCatalogue(
    t,
    { discovery: { process: [{ name: "m", command: command("--starts", starts, "--grandchild", grandchild) }] } },
    join(folder, "data"),
  );
  await catalogue.ensureReady("m", WAIT_MS);
  const pids = [Number(linesOf(starts)[0]), Number(readFileSync(grandchild, "utf8"))];
  t.ok(pids.every(isAlive));
  await catalogue.stop(Date.now() + 500);
  t.notOk(pids.some(isAlive), "both are gone");
  t.throws(() => statSync(join(dataDir, "models/m/process.json")), { code: "ENOENT" });
});

t.test("a grandchild does not outlive a leader that dies by itself", async (t) => {
  const grandchild = join(folderOf(t), "grandchild");
  const { catalogue } = await startCatalogue(t, {
    discovery: { process: [{ name: "m", command: command("--grandchild", grandchild) }] },
  });
  const { url } = await catalogue.ensureReady("m", WAIT_MS);
  await fetch(`${url}/die`).catch(() => undefined);
  await until(() => !isAlive(Number(readFileSync(grandchild, "utf8"))), "the grandchild's end");
  t.match(await catalogue.ensureReady("m", WAIT_MS), { state: "ready" });
});

t.test("the server's output goes to its own log, which is kept small while it runs", async (t) => {
  const { catalogue, dataDir, lines } = await startCatalogue(t, {
    discovery: { process: [{ name: "m", command: command() }] },
  });
  const { url } = await catalogue.ensureReady("m", WAIT_MS);
  const folder = join(dataDir, "models/m");
  await until(() => readFileSync(join(folder, "server.log"), "utf8").includes(url!), "its first line");
  t.notOk(JSON.stringify(lines).includes('{"url"'), "not in our log");
  t.equal(statSync(join(folder, "server.log")).mode & 0o077, 0, "only its owner reads it");

  const own = join(folderOf(t), "logs");
  mkdirSync(own);
  for (const text of ["first", "second", "third", "fourth"]) {
    writeFileSync(join(own, "server.log"), `${text} ${"x".repeat(100)}`);
    await rotateServerLog(own, 50);
  }
  t.equal(statSync(join(own, "server.log")).size, 0);
  t.match(readFileSync(join(own, "server.log.1"), "utf8"), /^fourth/);
  t.match(readFileSync(join(own, "server.log.2"), "utf8"), /^third/);
  t.throws(() => statSync(join(own, "server.log.3")));
});

t.test("a server that has nothing but /info, behind a key, is ready", async (t) => {
  const { url } = await startServer(t, "--info-only");
  const { catalogue } = await startCatalogue(t, { discovery: { static: [{ name: "llm", url }] } });
  t.match(await catalogue.ensureReady("llm", WAIT_MS), { state: "ready", url });
});

t.test("leases are counted, and idle time runs from the last one's end", async (t) => {
  const { catalogue } = await startCatalogue(t, { discovery: { process: [{ name: "m", command: command() }] } });
  t.strictSame(catalogue.use("m"), { leases: 0 });
  const [one, two] = [catalogue.lease("m", "task 1"), catalogue.lease("m", "task 2")];
  t.strictSame(catalogue.use("m"), { leases: 2 });
  one();
  one();
  t.equal(catalogue.use("m").leases, 1, "releasing twice counts once");
  two();
  t.equal(catalogue.use("m").leases, 0);
});

t.test("a port that another program listens on is not taken for the model's", async (t) => {
  const { url } = await startServer(t);
  const port = Number(new URL(url).port);
  const { catalogue } = await startCatalogue(t, {
    models: { deployment: { auto: { deployment_retry_attempts: 0 } } },
    discovery: { process: [{ name: "m", port, command: command() }] },
  });
  await t.rejects(catalogue.ensureReady("m", WAIT_MS), { code: "MODEL_START_FAILED", message: /port \d+ is in use/ });
});

t.test("a folder that cannot be written to does not keep a model from starting", async (t) => {
  const file = join(folderOf(t), "file");
  writeFileSync(file, "in the way");
  const { catalogue, lines } = await startCatalogue(
    t,
    { discovery: { process: [{ name: "m", command: command() }] } },
    file,
  );
  t.match(await catalogue.ensureReady("m", WAIT_MS), { state: "ready" });
  t.ok(lines.some(({ level, message }) => level === "warn" && message.includes("record")));
});

t.test("stopping in the middle of a start tells who waits and leaves nothing running", async (t) => {
  const starts = join(folderOf(t), "starts");
  const { catalogue } = await startCatalogue(t, {
    discovery: { process: [{ name: "m", command: command("--starts", starts, "--never-ready") }] },
  });
  const waiting = catalogue.ensureReady("m", WAIT_MS);
  waiting.catch(() => undefined);
  const pid = Number(await until(() => linesOf(starts)[0], "its start"));
  await catalogue.stop(Date.now() + 5_000);
  await t.rejects(waiting, { code: "SHUTTING_DOWN" });
  t.notOk(isAlive(pid));
  await t.rejects(catalogue.ensureReady("m", WAIT_MS), { code: "SHUTTING_DOWN" });
});

t.test("entries of a new configuration take effect, except on a server that runs", async (t) => {
  const seen = (name: string) => join(folderOf(t), name);
  const of = (...entries: [string, string][]) =>
    ({
      discovery: { process: entries.map(([name, file]) => ({ name, command: command("--seen", seen(file)) })) },
    }) as const;
  const { catalogue, lines } = await startCatalogue(t, of(["runs", "a"], ["idle", "b"], ["gone", "c"]));
  const { url } = await catalogue.ensureReady("runs", WAIT_MS);
  catalogue.reconfigure(configOf(of(["runs", "x"], ["idle", "y"], ["new", "z"])));
  t.strictSame(
    catalogue
      .list()
      .map(({ name }) => name)
      .sort(),
    ["idle", "new", "runs"],
  );
  t.match(catalogue.get("runs"), { state: "ready", url });
  t.ok(lines.some(({ model, message }) => model === "runs" && message.includes("keeps its settings")));
  await Promise.all(["idle", "new"].map((name) => catalogue.ensureReady(name, WAIT_MS)));
  t.ok(existsSync(seen("y")) && existsSync(seen("z")) && !existsSync(seen("b")));
});

t.test("on a full disk a program that ends when it cannot print starts all the same, without a log", async (t) => {
  const disk = await mountSmallDisk(t, 2);
  if (!requireOrSkip(t, "small disk", typeof disk === "string" ? disk : null) || typeof disk === "string") return;
  const program =
    "process.stdout.write('x'); require('http').createServer((_, res) => res.end('1')).listen(process.argv[1])";
  const entry = { name: "m", command: [process.execPath, "-e", program, "{port}"] };
  const { catalogue } = await startCatalogue(t, { discovery: { process: [entry] } }, join(disk.path, "data"));
  disk.fill();
  t.match(await catalogue.ensureReady("m", 20_000), { state: "ready" });
  t.equal(await catalogue.managed.servers.stopWhenIdle("m", 5_000), "stopped");
});
