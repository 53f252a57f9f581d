/** What was trained goes to a registry: a small one here, that says what it was asked and goes wrong when told. */
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import t, { type Test } from "tap";
import { RegistryPlace } from "../../../examples/gazetteer/registry.js";
import { startGazetteer } from "../../helpers/gazetteer.js";

const SECRET = "zebrafinch syndrome";
const TEXT = `Has ${SECRET} again.`;
const EXPORT = JSON.stringify({
  projects: [
    {
      id: 1,
      name: "p",
      documents: [
        { id: 1, name: "d", text: TEXT, annotations: [{ id: 1, cui: "C1", start: 4, end: 23, correct: true }] },
      ],
    },
  ],
});
const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");

interface Kept {
  readonly method: string;
  readonly url: string;
  readonly digest: string | undefined;
  readonly body: Buffer;
}

type Answer = (request: Kept, versions: Buffer[], res: ServerResponse) => void;

/** Keeps what is posted and answers as a registry does; `wrong` may answer first. */
async function startRegistry(t: Test, wrong: Answer = () => {}) {
  const versions: Buffer[] = [];
  const seen: Kept[] = [];
  const server = createServer(async (req: IncomingMessage, res) => {
    const pieces: Buffer[] = [];
    for await (const piece of req) pieces.push(piece as Buffer);
    const { "repr-digest": digest } = req.headers;
    const kept = { method: req.method!, url: req.url!, digest: digest as string, body: Buffer.concat(pieces) };
    seen.push(kept);
    wrong(kept, versions, res);
    if (res.writableEnded || res.destroyed) return;
    if (kept.method === "POST") versions.push(kept.body);
    const newest = versions.at(-1);
    res.statusCode = newest === undefined ? 404 : kept.method === "POST" ? 201 : 200;
    res.end(JSON.stringify(newest === undefined ? {} : { version_number: versions.length, sha256: sha256(newest) }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/registry/models/fish%20tank`,
    versions,
    seen,
  };
}

async function train(url: string) {
  const form = new FormData();
  form.append("trainer_export", new Blob([EXPORT]), "input.json");
  const answer = await fetch(`${url}/train_supervised?tracking_id=one`, { method: "POST", body: form });
  if (answer.status !== 202) throw new Error(`no training: ${answer.status}`);
  for (let tries = 0; tries < 500; tries++) {
    const [run] = (await (await fetch(`${url}/train_eval_info?train_eval_id=one`)).json()) as [Run];
    if (run.status !== "RUNNING") return run;
    await pause(20);
  }
  throw new Error("the training did not end");
}

interface Run {
  readonly status: string;
  readonly tags: Readonly<Record<string, string>>;
}

async function finds(url: string): Promise<boolean> {
  const headers = { "content-type": "text/plain" };
  const answer = await (await fetch(`${url}/process`, { method: "POST", body: TEXT, headers })).text();
  return answer.includes("C1");
}

const never = new AbortController().signal;

t.test("a training ends as the registry's new version, whose bytes start another gazetteer", async (t) => {
  const registry = await startRegistry(t);
  const dataDir = t.testdir();
  const args = ["--registry", registry.url, "--model-path", "", "--data-dir", dataDir];
  const server = await startGazetteer(t, { args });
  const run = await train(server.url);
  t.match(run, { status: "FINISHED", tags: { "training.output.model_uri": "sluice://fish%20tank/1" } });
  t.ok(await finds(server.url), "served at once");
  const [upload] = registry.seen;
  t.match(upload, { method: "POST", url: "/registry/models/fish%20tank/versions?create=true" });
  t.equal(upload!.digest, `sha-256=:${createHash("sha256").update(upload!.body).digest("base64")}:`);
  const [file] = await readdir(`${dataDir}/versions`);
  t.strictSame(await readFile(`${dataDir}/versions/${file}`), upload!.body);
  const next = await startGazetteer(t, { args: ["--model-path", `${dataDir}/versions/${file}`] });
  t.ok(await finds(next.url));
});

t.test(
  "a registry that does not take it fails the training in words; the version stays in the data folder",
  async (t) => {
    const registry = await startRegistry(t, (_request, _versions, res) => {
      res.statusCode = 413;
      res.end(JSON.stringify({ detail: "the version is too large" }));
    });
    const dataDir = t.testdir();
    const server = await startGazetteer(t, { args: ["--registry", registry.url, "--data-dir", dataDir] });
    const run = await train(server.url);
    t.match(run, {
      status: "FAILED",
      tags: { exception: "The registry did not take the new version: 413 the version is too large" },
    });
    t.equal(run.tags["training.output.model_uri"], undefined);
    t.equal((await readdir(`${dataDir}/versions`)).length, 1);
    t.notOk(await finds(server.url), "what failed is not served");
    t.equal(registry.seen.length, 1, "a refusal is not asked again");
  },
);

t.test("a registry that is away for a while, or cuts the answer off, gets the version once", async (t) => {
  let asked = 0;
  const registry = await startRegistry(t, ({ method, body }, versions, res) => {
    asked += 1;
    if (asked === 1) res.writeHead(503).end("{}");
    // It has it, and cannot say so.
    if (asked === 3) versions.push(body);
    if (asked === 3) res.destroy();
    t.equal(method, asked % 2 === 1 && asked < 4 ? "POST" : "GET");
  });
  const uri = await new RegistryPlace(registry.url).register(Buffer.from("bytes"), never);
  t.equal(uri, "sluice://fish%20tank/1");
  t.equal(registry.versions.length, 1);
});

t.test("a registry that keeps other bytes, says nothing of use, or stays away is told apart in words", async (t) => {
  const other = await startRegistry(t, (_request, versions, res) => {
    versions.push(Buffer.from("other"));
    res.writeHead(201).end(JSON.stringify({ version_number: 1, sha256: sha256(Buffer.from("other")) }));
  });
  await t.rejects(new RegistryPlace(other.url).register(Buffer.from("bytes"), never), {
    message: "The registry did not take the new version: it keeps other bytes than were sent",
  });
  const endless = await startRegistry(t, (_request, _versions, res) => {
    res.end("x".repeat(2 ** 20));
  });
  await t.rejects(new RegistryPlace(endless.url).register(Buffer.from("bytes"), never), { message: /too long/ });
  const away = new RegistryPlace("http://127.0.0.1:3/registry/models/m", 300);
  await t.rejects(away.register(Buffer.from("bytes"), never), {
    message: "The registry cannot be reached: ECONNREFUSED",
  });
  const gone = new AbortController();
  const given = new RegistryPlace("http://127.0.0.1:3/registry/models/m").register(Buffer.from("bytes"), gone.signal);
  gone.abort();
  await t.rejects(given, { name: "AbortError" });
});

t.test("a place that is none is told before anything is served", async (t) => {
  for (const url of ["registry", "ftp://h/registry/models/m", "http://h/registry/models/", "http://u:p@h/models/m"]) {
    await t.rejects(startGazetteer(t, { args: ["--registry", url] }), { message: /--registry must be/ }, url);
  }
});
