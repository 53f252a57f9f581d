import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import t, { type Test } from "tap";
import { makeFolder } from "../../helpers/folder.js";
import { openRig } from "../tasks/store-rig.js";

const PROGRAM = fileURLToPath(new URL("./hit-many.js", import.meta.url));

/** Where it dies or fails, how it ends, and how many hits and misses it has acknowledged by then. */
const STEPS = [
  ["cache.before_commit=kill", "SIGKILL", 0, 0],
  ["blob.before_link=kill@3", "SIGKILL", 2, 0],
  ["answered.before_commit=kill@3", "SIGKILL", 2, 0],
  ["blob.before_link=throw:EIO@3", null, 9, 1],
] as const;

async function startInfo(t: Test): Promise<string> {
  const server = createServer((_req, res) => res.end("{}"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

for (const [spec, ending, hits, misses] of STEPS) {
  t.test(`${spec}: each acknowledged hit is there, whole, and no file without its task`, async (t) => {
    const dataDir = makeFolder(t);
    const child = spawn(process.execPath, [PROGRAM, dataDir, await startInfo(t), spec], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const said: string[] = [];
    createInterface({ input: child.stdout }).on("line", (line) => said.push(line));
    const [, signal] = await once(child, "close");
    t.equal(signal, ending);
    const ofKind = (kind: string) => said.filter((line) => line.startsWith(kind)).map((line) => line.split(" ")[1]!);
    t.same([ofKind("hit").length, ofKind("miss").length], [hits, misses]);

    // What a start's sweep would hide.
    if (signal === null) t.equal(readdirSync(join(dataDir, "payloads")).length, misses, "a hit keeps no request");
    const { store, blobs } = await openRig(t, { dataDir });
    for (const uuid of ofKind("hit")) t.match(store.get(uuid), { status: "succeeded", answer: { status: 200 } });
    const named = new Set<string>();
    for (const { answer } of store.list({ limit: 100 }).tasks) {
      if (answer === null) continue;
      const body = await blobs.open(answer.body, { verify: true });
      for await (const _chunk of body);
      if (answer.body.kind === "blob") named.add(answer.body.key);
    }
    t.same(new Set(readdirSync(join(dataDir, "results")).map((name) => `results/${name}`)), named);
    t.equal(store.countWaiting().tasks, misses);
  });
}
