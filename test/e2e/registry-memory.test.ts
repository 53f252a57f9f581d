/** Versions of any size pass both processes in pieces: neither grows with them, and no body limit of other requests stands in the way. */
import { createHash, randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { Readable } from "node:stream";
import t from "tap";
import type { VersionObject } from "../../core/contract/registry-api.js";
import { createHttpClient } from "../../core/runtime/http.js";
import { type RunningSluice, startSluice } from "../helpers/sluice.js";

const PIECE = randomBytes(1024 * 1024);
const PIECES = 300;
const MAX_GROWTH_KIB = 64 * 1024;
const PATH = "/registry/models/big/versions";

const statusOf = (pid: number, field: string) =>
  Number(new RegExp(`^${field}:\\s+(\\d+)`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]);

/** Peaks count from now on. @returns by how many KiB each has grown at most since */
function watchGrowth({ pids }: RunningSluice): () => Record<string, number> {
  const watched = { sidecar: pids().sidecar, proxy: pids().proxies[0]! };
  const before = Object.entries(watched).map(([name, pid]) => {
    writeFileSync(`/proc/${pid}/clear_refs`, "5");
    return [name, pid, statusOf(pid, "VmRSS")] as const;
  });
  return () => Object.fromEntries(before.map(([name, pid, rss]) => [name, statusOf(pid, "VmHWM") - rss]));
}

t.test("300 MiB up and down leave no process 64 MiB bigger", async (t) => {
  const sluice = await startSluice(t, { config: { proxy: { max_body_size: "1MiB" } } });
  const http = createHttpClient();
  t.teardown(() => http.close());
  const call = { origin: sluice.url, headersTimeoutMs: 60_000 };
  const send = async (pieces: number) => {
    const hash = createHash("sha256");
    const body = Readable.from(
      (function* () {
        for (let index = 0; index < pieces; index++) {
          hash.update(PIECE);
          yield PIECE;
        }
      })(),
      { objectMode: false },
    );
    const headers = { "upload-length": String(pieces * PIECE.length) };
    const answer = await http.call({ ...call, method: "POST", path: `${PATH}?create=true`, headers, body });
    const version = (await answer.body.json()) as VersionObject;
    t.match({ status: answer.status, version }, { status: 201, version: { sha256: hash.digest("hex") } });
    return version;
  };
  const fetch = async ({ version_number, sha256 }: VersionObject) => {
    const { body } = await http.call({ ...call, method: "GET", path: `${PATH}/${version_number}/data` });
    const hash = createHash("sha256");
    for await (const chunk of body) hash.update(chunk as Buffer);
    t.equal(hash.digest("hex"), sha256);
  };
  // What is loaded and compiled at the first use is not what grows.
  await fetch(await send(8));
  const growth = watchGrowth(sluice);
  const version = await send(PIECES);
  const up = growth();
  await fetch(version);
  const both = growth();
  t.comment(JSON.stringify({ up, both }));
  for (const [name, kib] of Object.entries(both)) t.ok(kib < MAX_GROWTH_KIB, `${name} grew by ${kib} KiB`);
});
