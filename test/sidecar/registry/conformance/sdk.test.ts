/** What Cogment's Python SDK does, step by step. */
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import type { RegistryClient, VersionInfo } from "../../../helpers/registry-client.js";
import { startRegistry } from "../grpc-rig.js";

const CHUNK_BYTES = 2 * 2 ** 20;
const PAGE = 10;

/** Asks whether it is there; any error means that it is not. */
async function store(client: RegistryClient, name: string, data: Buffer, archived: boolean): Promise<VersionInfo> {
  const { code } = await client.ending("RetrieveModels", { model_ids: [name] });
  if (code !== "OK") await client.createModel(name);
  const bodies: object[] = [];
  for (let at = 0; at < data.length; at += CHUNK_BYTES) {
    bodies.push({ body: { data_chunk: data.subarray(at, at + CHUNK_BYTES) } });
  }
  const info = { model_id: name, archived, data_size: `${data.length}` };
  return client.uploadMessages([{ header: { version_info: info } }, ...bodies]);
}

async function allOf<T>(page: (handle: string) => Promise<{ items: T[]; next: string }>): Promise<T[]> {
  const all: T[] = [];
  for (let handle = ""; ; ) {
    const { items, next } = await page(handle);
    all.push(...items);
    handle = next;
    if (items.length < PAGE) return all;
  }
}

t.test("stores a model that is not there yet, and leaves the user data of one that is", async (t) => {
  const { client } = await startRegistry(t);
  const data = Buffer.alloc(5_000_000, "weights");
  const info = await store(client, "agent", data, true);
  t.match(info, {
    version_number: 1,
    data_size: "5000000",
    data_hash: createHash("sha256").update(data).digest("base64"),
    archived: true,
  });
  await client.createModel("agent", { env: "cart" });
  await store(client, "agent", data, false);
  const { model_infos: infos } = await client.call("RetrieveModels", { model_ids: ["agent"] });
  t.strictSame(infos[0].user_data, { env: "cart" });
  t.ok((await client.data("agent", 2)).equals(data));
});

t.test("lists models and versions in pages of ten, until one is shorter", async (t) => {
  const { client } = await startRegistry(t);
  for (let i = 0; i < 20; i++) await client.createModel(`m${String(i).padStart(2, "0")}`);
  for (let i = 0; i < 25; i++) await client.createVersion({ model_id: "m00", archived: i % 2 === 0 }, `${i}`);
  const models = await allOf(async (handle) => {
    const reply = await client.call("RetrieveModels", { models_count: PAGE, model_handle: handle });
    return { items: reply.model_infos, next: reply.next_model_handle };
  });
  t.equal(models.length, 20);
  const versions = await allOf<VersionInfo>(async (handle) => {
    const reply = await client.call("RetrieveVersionInfos", {
      model_id: "m00",
      versions_count: PAGE,
      version_handle: handle,
    });
    return { items: reply.version_infos, next: reply.next_version_handle };
  });
  t.strictSame(
    versions.map(({ version_number: number }) => number),
    Array.from({ length: 25 }, (_, i) => i + 1),
  );
});

t.test("asks for one version's info by its number, for the newest by -1", async (t) => {
  const { client } = await startRegistry(t);
  for (let i = 0; i < 3; i++) await store(client, "agent", Buffer.from(`${i}`), true);
  for (const [asked, number] of [
    [2, 2],
    [-1, 3],
  ]) {
    const reply = await client.call("RetrieveVersionInfos", { model_id: "agent", version_numbers: [asked] });
    t.equal(reply.version_infos[0].version_number, number);
  }
});

t.test("tracks a model: told of a version, it fetches that version's data, until the registry stops", async (t) => {
  const { client, server } = await startRegistry(t);
  await client.createModel("agent");
  const fetched: string[] = [];
  const watch = client.watch("agent");
  for (let number = 1; number <= 3; number++) {
    await store(client, "agent", Buffer.from(`version ${number}`), number % 2 === 0);
    await watch.until(number);
    fetched.push((await client.data("agent", watch.seen.at(-1)!.version_number)).toString());
  }
  t.strictSame(fetched, ["version 1", "version 2", "version 3"]);
  const stopped = server.stop(5_000);
  t.equal((await watch.ended).code, "UNAVAILABLE");
  await stopped;
});

t.test("is served where its own test starts it: with an archive folder full of other things", async (t) => {
  const first = await startRegistry(t);
  await first.close();
  mkdirSync(join(first.archiveDir, "src"), { recursive: true });
  writeFileSync(join(first.archiveDir, "src", "main.py"), "print()");
  writeFileSync(join(first.archiveDir, "cogment.yaml"), "a: b");
  const { client } = await startRegistry(t, { dataDir: first.dataDir });
  await store(client, "agent", Buffer.from("x"), true);
  t.equal((await client.call("RetrieveModels")).model_infos.length, 1);
});
