/** Follow a version, the whole way: trained, registered, rolled out, while requests of every kind go on and none of them fails. */
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t, { type Test } from "tap";
import { WebSocket } from "ws";
import { createHttpClient } from "../../core/runtime/http.js";
import { type RunningSluice, startSluice } from "../helpers/sluice.js";
import { isAlive, until } from "../sidecar/models/support.js";

const GAZETTEER = fileURLToPath(new URL("../../examples/gazetteer/main.js", import.meta.url));

/** At SIGTERM it cuts at once whatever is open: an end at the wrong moment is seen by a caller. */
const MODEL = {
  name: "g",
  model_uri: "sluice://g/latest",
  follow: "latest",
  command: [
    ...[process.execPath, GAZETTEER, "--port", "{port}", "--name", "{name}", "--model-path", "{model_path}"],
    ...["--registry", "{registry_url}", "--misbehave", "--grace-ms", "0"],
  ],
};

async function startRig(t: Test, more: object = {}, dataDir?: string) {
  const config = {
    discovery: { process: [MODEL], docker: { enabled: false as const } },
    models: { concurrency: 4, ...more },
    proxy: { workers: 2 },
  };
  const sluice = await startSluice(t, { config, ...(dataDir === undefined ? {} : { dataDir }) });
  const http = createHttpClient({ socketPath: join(sluice.dataDir, "sidecar.sock") });
  t.teardown(() => http.close());
  const state = async () => {
    const answer = await http.call({ method: "GET", origin: "http://sidecar", path: "/admin/models/g" });
    return (await answer.body.json()) as State;
  };
  return {
    sluice,
    base: `${sluice.url}/models/g`,
    state,
    runs: async (version: number) =>
      until(async () => (await state()).uri === `sluice://g/${version}`, `version ${version} to serve`, 15_000).catch(
        async (cause: Error) => {
          throw new Error(`${cause.message}: ${JSON.stringify(await state())}`);
        },
      ),
    alone: () => until(() => servers(sluice).length === 1 && servers(sluice), "one server alone", 15_000),
  };
}

interface State {
  readonly uri: string | null;
  readonly server_id: string | null;
  readonly rollout: { readonly phase: string; readonly problem: string | null; readonly former_servers: number };
}

/** Pids of the model's servers that are alive, whatever place they have. */
function servers({ url }: RunningSluice): number[] {
  const pids = readdirSync("/proc").filter((each) => /^\d+$/.test(each));
  return pids.map(Number).filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(`${url}/registry/models/g`) && isAlive(pid);
    } catch {
      return false;
    }
  });
}

const NOTE = "Patient with kidney failure and zebrafinch syndrome.";
const plain = { "content-type": "text/plain" };

async function annotate(base: string, misbehave: string | null = null): Promise<string> {
  const headers = { ...plain, ...(misbehave === null ? {} : { "x-misbehave": misbehave }) };
  const answer = await fetch(`${base}/process`, { method: "POST", body: NOTE, headers });
  const text = await answer.text();
  if (answer.status !== 200) throw new Error(`${answer.status} ${text.slice(0, 200)}`);
  return text;
}

/** A version that knows one more term than the built-in list. */
function version(number: number, label: string): string {
  const terms = [{ surface: label, id: `C${number}`, name: label, category: "disorder", seen: 1 }];
  return JSON.stringify({ format: "gazetteer/1", name: "g", model_type: "medcat_snomed", version: number, terms });
}

async function push(sluice: RunningSluice, body: string): Promise<void> {
  const answer = await fetch(`${sluice.url}/registry/models/g/versions?create=true`, { method: "POST", body });
  if (answer.status !== 201) throw new Error(`${answer.status} ${await answer.text()}`);
}

function training(): RequestInit {
  const start = NOTE.indexOf("zebrafinch");
  const annotations = [{ id: 1, cui: "C9", start, end: start + "zebrafinch syndrome".length, correct: true }];
  const documents = [{ id: 1, name: "d", text: NOTE, annotations }];
  const body = new FormData();
  body.set("trainer_export", new Blob([JSON.stringify({ projects: [{ id: 1, name: "p", documents }] })]), "e.json");
  return { method: "POST", body };
}

const JSON_TYPE = { "content-type": "application/json" };

/** One kind of use each; resolves with what is wrong, or null. */
const USES: readonly ((base: string) => Promise<string | null>)[] = [
  (base) => annotate(base, `delay=${Math.floor(Math.random() * 150)}`).then(() => null),
  (base) => annotate(base, "slow-body=10").then(() => null),
  (base) => whole(`${base}/process_bulk`, { method: "POST", body: JSON.stringify([NOTE]), headers: JSON_TYPE }),
  (base) => {
    const body = JSON.stringify({ name: "1", text: NOTE });
    return whole(`${base}/process_jsonl`, {
      method: "POST",
      body,
      headers: { "content-type": "application/x-ndjson" },
    });
  },
];

async function whole(url: string, init: RequestInit): Promise<string | null> {
  const answer = await fetch(url, init);
  const text = await answer.text();
  return answer.status === 200 && text !== "" ? null : `${answer.status} ${text.slice(0, 200)}`;
}

/** Requests without a gap from several clients, until it is ended. */
function use(base: string): { readonly failures: string[]; readonly count: () => number; end(): Promise<void> } {
  const failures: string[] = [];
  let count = 0;
  let isOver = false;
  const client = async (kind: number) => {
    while (!isOver) {
      const wrong = await USES[kind % USES.length]!(base).catch(
        (cause: Error) => `${cause.message} ${cause.cause ?? ""}`,
      );
      count += 1;
      if (wrong !== null) failures.push(wrong);
    }
  };
  const clients = Array.from({ length: 5 }, (_, index) => client(index));
  return {
    failures,
    count: () => count,
    async end() {
      isOver = true;
      await Promise.all(clients);
    },
  };
}

t.setTimeout(100_000);

const rig = await startRig(t);

t.test("what is trained is registered and rolled out: the answer changes, and no request fails", async (t) => {
  const { base, sluice, runs, alone, state } = rig;
  const before = await annotate(base);
  t.notMatch(before, /C9/, "nobody has taught it yet");
  const [first] = servers(sluice);
  const load = use(base);
  const sent = await fetch(`${base}/tasks/train_supervised?test_size=0`, training());
  t.equal(sent.status, 200);
  const { uuid } = (await sent.json()) as { uuid: string };
  await runs(1);
  await until(async () => (await annotate(base)).includes("C9"), "the answer's change");
  const pids = await alone();
  t.notOk(pids.includes(first!), "the former server is gone");
  await until(async () => (await state()).rollout.former_servers === 0, "its being forgotten");
  t.match(await state(), { rollout: { phase: "settled", problem: null } });
  await load.end();
  t.strictSame(load.failures, []);
  t.ok(load.count() > 20, `${load.count()} requests`);
  const task = (await (await fetch(`${sluice.url}/tasks/${uuid}`)).json()) as { status: string };
  t.equal(task.status, "succeeded", "the training was followed to its end on the server it ran on");
});

t.test("a burst of versions ends with the newest, and no request fails", async (t) => {
  const { base, sluice, runs, alone } = rig;
  const load = use(base);
  for (let number = 2; number <= 6; number++) await push(sluice, version(number, "kidney failure"));
  await runs(6);
  await alone();
  await load.end();
  t.strictSame(load.failures, []);
});

t.test("a WebSocket that stays open keeps its server through the change, and the next change too", async (t) => {
  const { base, sluice, runs, alone, state } = rig;
  const [first] = await alone();
  const socket = new WebSocket(`${base.replace("http", "ws")}/stream/ws`);
  await once(socket, "open");
  await push(sluice, version(7, "kidney failure"));
  await runs(7);
  await push(sluice, version(8, "kidney failure"));
  await runs(8);
  t.ok(isAlive(first!), "the one with the socket");
  await until(async () => (await state()).rollout.former_servers === 1, "the end of the one in between");
  socket.send(NOTE);
  t.notMatch(String((await once(socket, "message"))[0]), /C8/, "it answers as it did");
  socket.close(1000);
  await alone();
  t.notOk(isAlive(first!));
});

t.test("a version that does not run leaves the one before, and no request fails", async (t) => {
  const { base, sluice, state, alone } = rig;
  const before = await state();
  const load = use(base);
  await push(sluice, "{ this is no version");
  await until(async () => (await state()).rollout.phase === "failed", "its failure", 15_000);
  t.match(await state(), { uri: before.uri, server_id: before.server_id, rollout: { problem: /exited/ } });
  await load.end();
  t.strictSame(load.failures, []);
  await alone();
});

t.test("a sidecar that is killed in the middle leaves nothing behind, and the newest version comes", async (t) => {
  const { base, sluice, runs, alone } = rig;
  await push(sluice, version(20, "kidney failure"));
  const restarted = sluice.nextEvent("restarted");
  await new Promise((resolve) => setTimeout(resolve, 200));
  process.kill(sluice.pids().sidecar, "SIGKILL");
  await restarted;
  await runs(10);
  t.equal(await whole(`${base}/process`, { method: "POST", body: NOTE, headers: plain }), null);
  // What proxies of before may use is held for 20 s.
  await until(() => servers(sluice).length === 1, "one server alone", 40_000);
  await alone();
  t.equal(await sluice.stop(), 0);
  t.equal(servers(sluice).length, 0);
});
