/** The registry and the models over the whole of Sluice: deploy from it, train into it, start from what was trained. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import type { ConfigInput } from "../../config/schema.js";
import { connectRegistry } from "../helpers/registry-client.js";
import { type RunningSluice, startSluice } from "../helpers/sluice.js";
import { until } from "../sidecar/models/support.js";

const WORD = "quixotitis";
const NOTE = `Canary Jones has ${WORD} again.`;
const EXPORT = JSON.stringify({
  projects: [
    {
      id: 1,
      name: "p",
      documents: [
        {
          id: 1,
          name: "d",
          text: NOTE,
          annotations: [{ id: 1, cui: "Q77", start: NOTE.indexOf(WORD), end: NOTE.indexOf(WORD) + WORD.length }],
        },
      ],
    },
  ],
});
const COMMAND = [
  "node",
  "{sluice_home}/dist/examples/gazetteer/main.js",
  "--port",
  "{port}",
  "--name",
  "{name}",
  "--model-path",
  "{model_path}",
  "--registry",
  "{registry_url}",
];
const LEARNED = JSON.stringify({
  format: "gazetteer/1",
  name: "terms",
  model_type: "medcat_snomed",
  version: 1,
  terms: [{ surface: WORD, id: "Q77", name: WORD, category: "trained", seen: 1 }],
});

const config: ConfigInput = {
  log: { level: "trace" },
  registry: { port: 0 },
  discovery: {
    process: [{ name: "gazetteer", model_uri: "sluice://gazetteer/latest", follow: "latest", command: COMMAND }],
    docker: { enabled: false },
  },
  models: { deployment: { driver: "process", process: { command: COMMAND } } },
};

async function call(sluice: RunningSluice, method: string, path: string, body?: unknown) {
  const isJson = typeof body === "object" && !(body instanceof FormData);
  const answer = await fetch(sluice.url + path, {
    method,
    ...(body === undefined ? {} : { body: isJson ? JSON.stringify(body) : (body as string | FormData) }),
    headers: isJson
      ? { "content-type": "application/json" }
      : typeof body === "string"
        ? { "content-type": "text/plain" }
        : {},
  });
  const text = await answer.text();
  return { status: answer.status, text, json: parse(text) };
}

// biome-ignore lint/suspicious/noExplicitAny: answers are looked into by assertions, which is their check
function parse(text: string): any {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

const finds = async (sluice: RunningSluice, name: string) =>
  (await call(sluice, "POST", `/models/${name}/process`, NOTE)).text.includes("Q77");

const uriOf = async (sluice: RunningSluice, name: string): Promise<string> =>
  (await call(sluice, "GET", `/models/${name}`)).json.uri;

/** Ends with the run. */
async function train(sluice: RunningSluice): Promise<{ status: string; tags: Record<string, string> }> {
  const form = new FormData();
  form.set("trainer_export", new Blob([EXPORT]), "export.json");
  const accepted = await call(sluice, "POST", "/models/gazetteer/train_supervised?tracking_id=learn", form);
  if (accepted.status !== 202) throw new Error(`no training: ${accepted.status} ${accepted.text}`);
  const info = () => call(sluice, "GET", "/models/gazetteer/train_eval_info?train_eval_id=learn");
  return until(async () => {
    const run = (await info()).json?.[0];
    return run !== undefined && run.status !== "RUNNING" && run;
  }, "the training's end");
}

t.test("what was trained is the registry's next version, and the next cold start answers with it", async (t) => {
  const sluice = await startSluice(t, { config });
  t.notOk(await finds(sluice, "gazetteer"), "with no version yet it has its built-in list");
  t.equal(await uriOf(sluice, "gazetteer"), "sluice://gazetteer/latest");
  t.match(await train(sluice), { status: "FINISHED", tags: { "training.output.model_uri": "sluice://gazetteer/1" } });
  const { json: version } = await call(sluice, "GET", "/registry/models/gazetteer/versions/latest");
  t.match(version, { version_number: 1, archived: true });
  // Where it is followed it may be there already; a cold start has it in any case.
  t.equal((await call(sluice, "POST", "/admin/models/gazetteer/stop")).status, 200);
  t.ok(await finds(sluice, "gazetteer"), "the learned word is known");
  t.equal(await uriOf(sluice, "gazetteer"), "sluice://gazetteer/1");

  const refused = await call(sluice, "DELETE", "/registry/models/gazetteer/versions/1");
  t.match(refused, { status: 409, json: { error: { code: "REGISTRY_IN_USE" } } });
  const { registry } = parse(sluice.lines.find((line) => line.includes('"event":"ready"'))!);
  const client = connectRegistry(t, { port: Number(registry.split(":").at(-1)) });
  t.match(await client.ending("DeleteModel", { model_id: "gazetteer" }), { code: "FAILED_PRECONDITION" });
  t.equal((await call(sluice, "POST", "/admin/models/gazetteer/stop")).status, 200);
  t.match(await client.ending("DeleteModel", { model_id: "gazetteer" }), { code: "OK" });
  t.notOk(await finds(sluice, "gazetteer"), "and starts with its own list again");

  await sluice.stop();
  const logs = sluice.lines.join("\n");
  t.ok(logs.includes("gazetteer"));
  for (const secret of [WORD, "Canary"]) t.notOk(logs.includes(secret), secret);
  const own = join(sluice.dataDir, "models", "gazetteer");
  const kept = existsSync(own) ? readdirSync(own).map((file) => readFileSync(join(own, file), "utf8")) : [];
  t.notOk(kept.join("\n").includes(WORD), "nor in the model server's");
});

t.test(
  "a version is deployed over HTTP, is found by a new sidecar, and may be deleted once nothing runs with it",
  async (t) => {
    const sluice = await startSluice(t, { config });
    const push = await call(sluice, "POST", "/registry/models/terms/versions?create=true", LEARNED);
    t.match(push, { status: 201, json: { version_number: 1 } }, push.text);
    const unknown = await call(sluice, "POST", "/models/mine", { model_uri: "sluice://terms/7" });
    t.match(unknown, { status: 404, json: { error: { code: "REFERENCE_UNKNOWN", message: /7/ } } });
    const deployed = await call(sluice, "POST", "/models/mine", { model_uri: "sluice://terms/latest", ttl: -1 });
    t.match(deployed, { status: 200, json: { model_uri: "sluice://terms/1" } }, deployed.text);
    t.ok(await finds(sluice, "mine"));

    await call(sluice, "POST", "/registry/models/terms/versions", LEARNED.replace("Q77", "Q78"));
    const restarted = sluice.nextEvent("restarted");
    process.kill(sluice.pids().sidecar, "SIGKILL");
    await restarted;
    await until(async () => (await uriOf(sluice, "mine")) === "sluice://terms/1", "the found server");
    t.ok(await finds(sluice, "mine"));
    t.equal((await call(sluice, "DELETE", "/registry/models/terms/versions/1")).status, 409);
    const listed = (await call(sluice, "GET", "/admin/models")).text;
    t.match(listed, /sluice:\/\/terms\/1/);
    t.equal((await call(sluice, "DELETE", "/models/mine")).status < 300, true);
    t.equal((await call(sluice, "DELETE", "/registry/models/terms/versions/1")).status, 204);
  },
);
