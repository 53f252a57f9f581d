import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t, { type Test } from "tap";
import { dayOf } from "../../core/runtime/daily-file.js";
import { TestDirectory } from "../helpers/directory.js";
import { makeFolder } from "../helpers/folder.js";
import { RegistryClient } from "../helpers/registry-client.js";
import { runSluice } from "./programs/run-sluice.js";
import { RunningServe } from "./programs/running-serve.js";

const MAIN = fileURLToPath(new URL("../../cli/main.js", import.meta.url));
const START_MS = 30_000;

interface Started {
  readonly serve: RunningServe;
  readonly port: number;
  readonly client: RegistryClient;
}

async function start(t: Test, args: readonly string[], env: Record<string, string> = {}): Promise<Started> {
  const serve = new RunningServe(MAIN, ["registry", "serve", ...args], env);
  t.teardown(() => serve.end());
  const { registry, pid } = await serve.ready(START_MS);
  t.equal(pid, serve.child.pid);
  const [host, port] = registry!.split(":");
  t.equal(host, "127.0.0.1");
  const client = new RegistryClient({ port: Number(port) });
  t.teardown(() => client.close());
  return { serve, port: Number(port), client };
}

async function stop({ serve, client }: Started): Promise<number | null> {
  client.close();
  serve.child.kill("SIGTERM");
  return (await serve.exited).code;
}

t.test("with an archive folder alone it keeps everything there, across restarts, and ends with 0", async (t) => {
  const folder = makeFolder(t);
  const archive = join(folder, "models", "archive");
  const args = ["--archive_dir", archive, "--port", "0"];
  const first = await start(t, args);
  await first.client.createModel("medcat", { team: "a" });
  const header = { model_id: "medcat", archived: true, user_data: { f1: "0.8" } };
  const kept = await first.client.createVersion(header, "the weights");
  const transient = await first.client.createVersion({ model_id: "medcat" }, "of a moment");
  t.equal(await stop(first), 0);
  t.ok(existsSync(join(archive, "registry.db")));
  t.notOk(existsSync(join(archive, "serve.lock")), "and holds the folder no more");

  const second = await start(t, args);
  t.equal(String(await second.client.data("medcat", kept.version_number)), "the weights");
  t.match(await second.client.ending("RetrieveVersionInfos", { model_id: "medcat", version_numbers: [2] }), {
    code: "NOT_FOUND",
  });
  const next = await second.client.createVersion(header, "more");
  t.equal(next.version_number, transient.version_number + 1, "no number is used twice");
  t.equal(await stop(second), 0);
});

t.test("with a data folder its database is there, as under 'sluice serve', and only one may hold it", async (t) => {
  const dataDir = join(makeFolder(t), "data");
  const started = await start(t, ["--data-dir", dataDir, "--port", "0"]);
  t.ok(existsSync(join(dataDir, "registry.db")));
  t.ok(existsSync(join(dataDir, "archive")));
  for (const command of [["registry", "serve"], ["serve"]]) {
    const { code, stderr } = await runSluice([...command, "--data-dir", dataDir, "--port", "0"]);
    t.equal(code, 1);
    t.match(stderr, new RegExp(`in use by process ${started.serve.child.pid}`));
  }
  const env = { COGMENT_MODEL_REGISTRY_ARCHIVE_DIR: dataDir };
  const alone = await runSluice(["registry", "serve", "--port", "0"], { env });
  t.equal(alone.code, 1, "nor by its archive alone");
});

t.test("every option is a flag and a variable of Cogment's, and logs go to a file per day", async (t) => {
  const folder = makeFolder(t);
  const started = await start(t, ["--port=0", "--grpc_reflection", "--log_file", join(folder, "logs", "r.log")], {
    COGMENT_MODEL_REGISTRY_PORT: "1",
    COGMENT_MODEL_REGISTRY_ARCHIVE_DIR: join(folder, "archive"),
    COGMENT_MODEL_REGISTRY_SENT_MODEL_VERSION_DATA_CHUNK_SIZE: "4",
    COGMENT_LOG_LEVEL: "4",
    SLUICE_REGISTRY_MAX_VERSION_SIZE: "10",
  });
  const { client } = started;
  await client.createModel("m");
  const version = await client.createVersion({ model_id: "m", archived: true }, "0123456789");
  t.same((await client.pieces("m", version.version_number)).map(String), ["0123", "4567", "89"]);
  await t.rejects(client.createVersion({ model_id: "m" }, "0123456789x"), { code: "RESOURCE_EXHAUSTED" });
  t.equal(await stop(started), 0);
  t.ok(existsSync(join(folder, "archive", "registry.db")));
  const [name] = readdirSync(join(folder, "logs"));
  t.ok([`r_${dayOf(Date.now())}.log`, `r_${dayOf(Date.now() - 60_000)}.log`].includes(name!), String(name));
  const log = readFileSync(join(folder, "logs", name!), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  const calls = log.filter(({ event }) => event === "registry-call");
  t.match(
    calls.find(({ route }) => route === "CreateOrUpdateModel"),
    { level: "debug", code: "OK" },
  );
  t.ok(calls.some(({ level, code }) => level === "warn" && code === "RESOURCE_EXHAUSTED"));
  t.ok(log.some(({ event, port }) => event === "registry-listening" && port === started.port));
  t.same(
    started.serve.lines.map(({ event }) => event),
    ["ready"],
    "and standard output is the ready line's alone",
  );
});

t.test("what is wrong is said before anything starts", async (t) => {
  const folder = makeFolder(t);
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
  t.teardown(() => new Promise((resolve) => taken.close(resolve)));
  const { port } = taken.address() as { port: number };
  writeFileSync(join(folder, "file"), "");
  const base = ["registry", "serve", "--archive_dir", join(folder, "a")];
  const cases: [string[], number, RegExp][] = [
    [["--port", String(port)], 1, new RegExp(`port ${port} is taken[\\s\\S]*COGMENT_MODEL_REGISTRY_PORT`)],
    [["--port", "nine"], 2, /--port {2}registry\.port: must be a whole number, not 'nine'/],
    [["--cache_max_items", "0"], 2, /--cache_max_items {2}.*at least 1/],
    [["--directory_endpoint", "http://x"], 2, /must be grpc:\/\/<host>:<port>/],
    [["--log_file", join(folder, "file", "r.log"), "--port", "0"], 1, /registry\.log_file cannot be written to/],
    [["--host", "192.0.2.1"], 1, /cannot listen on 192\.0\.2\.1:\d+[\s\S]*registry\.host/],
    [["--archive_dir", join(folder, "file")], 1, /the archive's folder .*: it is a file[\s\S]*--archive_dir/],
    [["--data-dir", folder, "--archive_dir", join(folder, "file", "x")], 1, /the archive's folder .*: ENOTDIR/],
    [["extra"], 2, /too many arguments/],
  ];
  for (const [args, code, told] of cases) {
    const ended = await runSluice([...base, ...args]);
    t.equal(ended.code, code, `${args.join(" ")}: ${ended.stderr}`);
    t.match(ended.stderr, told);
    t.notMatch(ended.stderr, /\n\s+at /, "no stack");
    t.notMatch(ended.stdout.toString(), /"ready"/);
  }
});

t.test("the first signal lets calls end within 5 s, a second one ends at once", async (t) => {
  const folder = makeFolder(t);
  const started = await start(t, ["--archive_dir", join(folder, "a"), "--port", "0"]);
  const { client, serve } = started;
  await client.createModel("m");
  const { call, reply } = client.openUpload();
  call.write({ header: { version_info: { model_id: "m", archived: true, data_size: "4" } } });
  const watch = client.watch("m");
  await client.call("Status", {});
  const begin = performance.now();
  serve.child.kill("SIGTERM");
  t.equal((await watch.ended).code, "UNAVAILABLE", "who waits for versions is told at once");
  call.write({ body: { data_chunk: Buffer.from("data") } });
  call.end();
  t.equal((await reply).version_number, 1, "an upload that is under way is kept");
  t.equal((await serve.exited).code, 0);
  t.ok(performance.now() - begin < 5_000 + 3_000);

  const again = await start(t, ["--archive_dir", join(folder, "a"), "--port", "0"]);
  again.client.openUpload().call.write({ header: { version_info: { model_id: "m", archived: true, data_size: "4" } } });
  await again.client.call("Status", {});
  again.serve.child.kill("SIGTERM");
  await new Promise((resolve) => setTimeout(resolve, 400));
  again.serve.child.kill("SIGINT");
  t.equal((await again.serve.exited).code, 1);
});

t.test("it registers with a directory once it serves, and leaves it at its end", async (t) => {
  const directory = await TestDirectory.start(t, { token: "hunter2" });
  const folder = makeFolder(t);
  const started = await start(
    t,
    [
      ...["--archive_dir", folder, "--port", "0", "--host", "127.0.0.1", "--directory_endpoint", directory.endpoint],
      ...["--directory_registration_properties", "Sim=20,hpp", "--directory_registration_properties", "mem=HIGH"],
    ],
    { COGMENT_DIRECTORY_AUTHENTICATION_TOKEN: "hunter2" },
  );
  const untilMs = Date.now() + 10_000;
  while (directory.services.length === 0 && Date.now() < untilMs) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  t.match(directory.services, [
    { host: "127.0.0.1", port: started.port, type: 8, answered: true, properties: { Sim: "20", hpp: "", mem: "HIGH" } },
  ]);
  t.equal(directory.services[0]!.properties.__registration_source, "Self-Implicit");
  t.match(directory.services[0]!.properties.__version, /^\d+\.\d+\.\d+$/);
  t.equal(await stop(started), 0);
  t.same(directory.services, []);
  t.notMatch(`${JSON.stringify(started.serve.lines)}${started.serve.stderr}`, /hunter2/);
});
