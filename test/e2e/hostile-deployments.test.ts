/**
 * Hostile values in everything that deploys, configures and removes models: each is refused in our envelope, or arrives as it was
 * sent, in one argument of one process. None is ever interpreted, and the next request works.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import t, { type Test } from "tap";
import { argvOf, pidOf, processesWith, startBench } from "../compatibility/bench.js";
import type { Answer } from "../compatibility/client.js";

const bench = await startBench(t);
const { ask, mlflow, sluice } = bench;
/** Made by whatever interprets one of the values. */
const trap = join(t.testdir({}), "sprung");
const FORGED = '{"event":"forged","pids":{}}';

const SHELL = [
  `$(touch ${trap})`,
  `\`touch ${trap}\``,
  `x; touch ${trap} #`,
  `x && touch ${trap}`,
  `x | tee ${trap}`,
  `x > ${trap}`,
  `'"; touch ${trap}; '"`,
  `\${IFS}touch\${IFS}${trap}`,
  "~/*?[a-z]{1,2}!!",
  "%PATH% $HOME \\",
];
const LINES = [`one\ntouch ${trap}`, "one\r\nX-Forged: 1", `one\n${FORGED}\ntwo`, "tab\tbell\u0007escape\u001b[31m"];
const OPTIONS = [
  "--port=1",
  "-h",
  "--",
  "--name=other",
  "--eval=process.exit()",
  "-e",
  "@file",
  "--require=/etc/passwd",
];
const PLACES = ["{port}", "{name}{model_uri}", "{sluice_home}/x", "%(name)s", "$&$1$$"];
const OTHERS = [
  "'; DROP TABLE on_demand; --",
  "' or '1' = '1",
  "../../../../etc/passwd",
  "file:///etc/passwd",
  "__proto__",
  "<script>alert(1)</script>",
  "Ω≈ç√ 🧬 \u202e",
  "x".repeat(10_000),
  `'"$\n`.repeat(2_500).concat("x"),
];
/** What a process can be told. */
const URIS = [...SHELL, ...LINES, ...OPTIONS, ...PLACES, ...OTHERS];
/** What no process can be told: a NUL, half a character (it would arrive as another), more than the kernel takes as one argument. */
const IMPOSSIBLE = ["nul\u0000byte", "half \ud800 character", "x".repeat(200_000)];

const brief = (value: unknown) => JSON.stringify(value).slice(0, 40);

/** A refusal of ours, with nothing but a 4xx. */
function refused(t: Test, { status, json, text }: Answer, what: string): void {
  t.ok(status >= 400 && status < 500, `${what}: ${status} ${text.slice(0, 200)}`);
  t.match(json, { source: "sluice", error: { code: String, message: String } }, what);
}

/** A test after which the next request works, and nothing was interpreted. */
function hostile(name: string, attack: (t: Test) => Promise<void>): void {
  t.test(name, async (t) => {
    await attack(t);
    const text = { headers: { "content-type": "text/plain" }, body: "Seen on 3 March 2021" };
    t.equal((await ask("POST", "/models/static-one/process", text)).status, 200, "the next request works");
    t.equal((await ask("GET", "/models/?verbose=true")).status, 200, "and the list");
    t.equal((await ask("GET", "/admin/on-demand?include_disabled=true")).status, 200, "and the configurations");
    t.notOk(existsSync(trap), "nothing was interpreted");
    t.notOk(sluice.lines.includes(FORGED), "no line of the log was forged");
  });
}

/** Servers that are started at the same time. */
const AT_ONCE = 4;

hostile("a model_uri of a deployment arrives as one argument, byte for byte", async (t) => {
  const deploy = async (model_uri: string, index: number) => {
    const name = `uri-${index}`;
    const answer = await ask("POST", `/models/${name}`, { json: { model_uri } });
    if (answer.status !== 200) return refused(t, answer, brief(model_uri));
    t.equal(answer.json.model_uri, model_uri);
    const argv = argvOf(pidOf(answer.json.container_id));
    t.equal(argv[2], model_uri, brief(model_uri));
    t.equal(argv[5], `--name=${name}`, "and nothing else has moved");
    t.equal(argv.length, 7);
    t.equal((await ask("DELETE", `/models/${name}?force=true`)).status, 204);
  };
  for (let from = 0; from < URIS.length; from += AT_ONCE) {
    await Promise.all(URIS.slice(from, from + AT_ONCE).map((uri, index) => deploy(uri, from + index)));
  }
});

hostile("most of them are taken: a URI is the model server's to understand", async (t) => {
  const plain = [`$(touch ${trap})`, "--port=1", "{port}", "' or '1' = '1", "x".repeat(10_000)];
  for (const model_uri of plain) {
    t.equal((await ask("POST", "/models/plain", { json: { model_uri } })).status, 200, brief(model_uri));
    await ask("DELETE", "/models/plain?force=true");
  }
});

hostile("what no process can be told is refused before one is started", async (t) => {
  for (const model_uri of IMPOSSIBLE) {
    refused(t, await ask("POST", "/models/never", { json: { model_uri } }), brief(model_uri));
    t.equal((await ask("GET", "/models/never")).status, 404, "nothing is left of it");
  }
});

hostile("a name that is none is refused on every route that takes one", async (t) => {
  for (const value of [...URIS, ...IMPOSSIBLE.slice(0, 1), "", "."]) {
    // A whole path of 10 kB is allowed; one of 30 kB, as the last values would be, is refused by its size.
    const name = encodeURIComponent(value).slice(0, 9_000).replace(/%.?$/, "");
    const what = brief(value);
    const json = { model_uri: "models:/m/1" };
    if (value !== "") {
      refused(t, await ask("POST", `/models/${name}`, { json }), `deploy ${what}`);
      refused(t, await ask("DELETE", `/models/${name}?force=true`), `remove ${what}`);
      refused(t, await ask("PUT", `/admin/on-demand/${name}`, { json: {} }), `update ${what}`);
      refused(t, await ask("DELETE", `/admin/on-demand/${name}`), `disable ${what}`);
      refused(t, await ask("POST", `/admin/on-demand/${name}/enable`), `enable ${what}`);
      refused(t, await ask("GET", `/admin/on-demand/${name}/history`), `history of ${what}`);
    }
    refused(t, await ask("POST", "/admin/on-demand", { json: { ...json, model_name: value } }), `create ${what}`);
  }
});

hostile("names that JavaScript knows are names like others", async (t) => {
  for (const name of ["constructor", "toString", "hasOwnProperty", "valueOf"]) {
    t.equal((await ask("GET", `/models/${name}`)).status, 404, name);
    t.equal((await ask("GET", `/models/${name}/healthz`)).status, 404, name);
    t.equal((await ask("GET", `/admin/on-demand/${name}`)).status, 404, name);
    t.equal((await bench.create(name)).status, 201, name);
    t.equal((await ask("GET", `/models/${name}`)).json.name, name);
    t.equal((await ask("DELETE", `/admin/on-demand/${name}`)).status, 204, name);
  }
  t.equal((await bench.deploy("constructor")).status, 200);
  await bench.running("constructor");
  t.equal((await ask("GET", "/models/constructor/info")).status, 200);
  t.equal((await ask("DELETE", "/models/constructor")).status, 204);
});

hostile("fields that JavaScript knows change nothing", async (t) => {
  const headers = { "content-type": "application/json" };
  const fields = '"__proto__": {"ttl": 5, "model_uri": "other"}, "constructor": {"prototype": {"ttl": 5}}';
  const none = await ask("POST", "/models/proto", { headers, body: `{${fields}}` });
  refused(t, none, "no reference is inherited");
  const { status, json } = await ask("POST", "/models/proto", { headers, body: `{${fields}, "model_uri": "own"}` });
  t.match({ status, json }, { status: 200, json: { model_uri: "own", ttl: 86_400 } });
  await ask("DELETE", "/models/proto?force=true");
});

hostile("a tracking id that names no run is not found, whatever it holds", async (t) => {
  for (const tracking_id of [...URIS, ...IMPOSSIBLE]) {
    const what = brief(tracking_id);
    refused(t, await ask("POST", "/models/by-run", { json: { tracking_id } }), `deploy by ${what}`);
    const json = { model_name: "by-run", tracking_id };
    refused(t, await ask("POST", "/admin/on-demand", { json }), `create by ${what}`);
  }
  t.equal((await ask("GET", "/models/by-run")).status, 404);
  const good = await ask("POST", "/models/by-run", { json: { tracking_id: "run-tagged" } });
  t.equal(good.status, 200, "MLflow is still asked");
});

hostile("what MLflow hands out is as little trusted", async (t) => {
  for (const [index, model_uri] of [SHELL[0]!, LINES[0]!, OPTIONS[0]!, PLACES[1]!].entries()) {
    const run = `hostile-${index}`;
    mlflow.put({ run_id: run, tags: { "training.output.model_uri": model_uri } });
    const answer = await ask("POST", `/models/${run}`, { json: { tracking_id: run } });
    t.equal(answer.status, 200, answer.text.slice(0, 200));
    t.equal(argvOf(pidOf(answer.json.container_id))[2], model_uri);
    await ask("DELETE", `/models/${run}?force=true`);
  }
  const model_type = `$(touch ${trap}) --port=1`;
  mlflow.put({ run_id: "typed" });
  mlflow.putModel({ run_id: "typed" });
  mlflow.putVersion({ name: "typed", run_id: "typed", tags: { model_type } });
  const { json } = await ask("POST", "/models/typed", { json: { model_uri: "models:/typed/1" } });
  t.ok(argvOf(pidOf(json.container_id)).includes(`--model-type=${model_type}`));
});

hostile("descriptions and tracking ids of a configuration come back as they were sent", async (t) => {
  for (const value of [...URIS, ...IMPOSSIBLE.slice(0, 1)]) {
    const made = await bench.create("described", { description: value, tracking_id: value });
    if (made.status !== 201) {
      refused(t, made, brief(value));
      continue;
    }
    t.match(made.json, { description: value, tracking_id: value }, brief(value));
    t.equal((await ask("GET", "/models/described?verbose=true")).json.description, value);
    const changed = await ask("PUT", "/admin/on-demand/described", { json: { description: `${value}.` } });
    t.equal(changed.json.description, `${value}.`);
  }
});

hostile("the URI of a configuration arrives as one argument when it is started, also after a change", async (t) => {
  for (const [index, value] of [SHELL[2]!, LINES[2]!, PLACES[1]!].entries()) {
    const name = `later-${index}`;
    t.equal((await bench.create(name)).status, 201);
    t.equal((await ask("PUT", `/admin/on-demand/${name}`, { json: { model_uri: value } })).status, 200);
    t.equal((await ask("GET", `/models/${name}/info`)).status, 200, brief(value));
    const [pid] = processesWith(value, sluice);
    t.equal(argvOf(pid!)[2], value);
    t.equal((await ask("DELETE", `/models/${name}`)).status, 204);
  }
});

hostile("numbers that are none, or no time to live, are refused", async (t) => {
  const values = [
    "1; reboot",
    "$(id)",
    "NaN",
    "Infinity",
    "0x10",
    "１２",
    "9".repeat(400),
    1e308,
    0.1,
    [1],
    {},
    "",
    "-",
  ];
  for (const value of values) {
    const json = { model_uri: "models:/m/1", ttl: value };
    refused(t, await ask("POST", "/models/timed", { json }), `ttl ${brief(value)}`);
    refused(t, await bench.create("timed", { idle_ttl: value }), `idle_ttl ${brief(value)}`);
  }
  const headers = { "content-type": "application/json" };
  const endless = await ask("POST", "/models/timed", { headers, body: '{"model_uri": "u", "ttl": 1e999}' });
  refused(t, endless, "a number beyond all numbers");
  t.equal((await ask("GET", "/models/timed")).status, 404);
});

hostile("limits are texts of a form, and never more than texts", async (t) => {
  for (const value of [...SHELL, ...LINES, ...OPTIONS]) {
    const memory = await bench.create("limited", { deploy: { resources: { limits: { memory: value } } } });
    refused(t, memory, `memory ${brief(value)}`);
    const made = await bench.create("limited", { deploy: { resources: { limits: { cpus: value } } } });
    if (made.status === 201) t.equal(made.json.deploy.resources.limits.cpus, value);
    else refused(t, made, `cpus ${brief(value)}`);
  }
});

hostile("queries and ids that are none are refused", async (t) => {
  const one = (value: string) => encodeURIComponent(value).slice(0, 4_000).replace(/%.?$/, "");
  for (const value of [...SHELL, ...LINES, ...OPTIONS, ...PLACES]) {
    refused(t, await ask("GET", `/models/?verbose=${one(value)}`), `verbose ${brief(value)}`);
    refused(t, await ask("DELETE", `/models/static-one?force=${one(value)}`), `force ${brief(value)}`);
    refused(t, await ask("GET", `/admin/on-demand?include_disabled=${one(value)}`), `include ${brief(value)}`);
  }
  for (const id of ["-1", "0", "1e9", "0x1", "99999999999999999999", "1;x", "1%20or%201", "NaN", "null"]) {
    refused(t, await ask("POST", `/admin/on-demand/${id}/enable`), `id ${id}`);
  }
});

hostile("bodies that are deep, wide or no JSON are refused", async (t) => {
  const headers = { "content-type": "application/json" };
  for (const body of [
    "[".repeat(50_000),
    '{"a":'.repeat(50_000),
    "\u0000",
    "{'a': 1}",
    "NaN",
    '{"model_uri": "\\ud800"',
  ]) {
    for (const [method, path] of [
      ["POST", "/models/deep"],
      ["POST", "/admin/on-demand"],
      ["PUT", "/admin/on-demand/deep"],
    ] as const) {
      refused(t, await ask(method, path, { headers, body }), `${method} ${path} ${brief(body)}`);
    }
  }
});
