/** What the metrics are made of: counted as things happen, and right again after a restart. */
import { join } from "node:path";
import t, { type Test } from "tap";
import { createLogger } from "../../../core/runtime/logger.js";
import { type OpenRegistry, openRegistry } from "../../../sidecar/registry/open-registry.js";
import { makeFolder } from "../../helpers/folder.js";

const logger = createLogger({ level: "silent", format: "json", process: "test" });

async function open(t: Test, folder: string, cacheMaxItems = 100): Promise<OpenRegistry> {
  const opened = await openRegistry({
    databaseFile: join(folder, "registry.db"),
    archiveDir: join(folder, "archive"),
    settings: () => ({ maxVersionBytes: null, cacheMaxItems, cacheMaxBytes: 2 ** 20 }),
    logger,
  });
  t.teardown(() => opened.close());
  return opened;
}

async function add({ registry }: OpenRegistry, modelId: string, archived: boolean, bytes: number): Promise<void> {
  const upload = await registry.create({
    modelId,
    archived,
    dataBytes: bytes,
    dataHash: null,
    creationTimestamp: null,
    userData: {},
  });
  await upload.write(Buffer.alloc(bytes));
  await upload.commit();
}

t.test("totals follow what is made, replaced, deleted and evicted, with or without a restart", async (t) => {
  const folder = makeFolder(t);
  const first = await open(t, folder, 2);
  const { registry } = first;
  t.same(first.totals(), {
    models: 0,
    archived: { versions: 0, bytes: 0 },
    transient: { versions: 0, bytes: 0 },
    uploads: 0,
    downloads: 0,
    evictions: 0,
  });
  for (const modelId of ["a", "b"]) await registry.putModel({ modelId, userData: {} });
  await registry.putModel({ modelId: "a", userData: { x: "1" } });
  for (const bytes of [10, 20]) await add(first, "a", true, bytes);
  await add(first, "b", true, 5);
  for (const bytes of [1, 2, 3, 4]) await add(first, "b", false, bytes);
  const under = await registry.create({
    modelId: "a",
    archived: true,
    dataBytes: 1,
    dataHash: null,
    creationTimestamp: null,
    userData: {},
  });
  const { stream } = await registry.open("a", 1, { chunkBytes: 5 });
  stream.destroy();
  const seen = first.totals();
  t.match(seen, { models: 2, archived: { versions: 3, bytes: 35 }, uploads: 1, downloads: 1 });
  t.equal(seen.transient.versions + seen.evictions, 4);
  t.ok(seen.evictions >= 1 && seen.transient.bytes >= 4);
  await under.abort();
  await registry.deleteVersion("a", 1, { force: false });
  t.match(first.totals(), { uploads: 0, archived: { versions: 2, bytes: 25 } });
  await registry.deleteModel("b", { force: false });
  t.match(first.totals(), { models: 1, archived: { versions: 1, bytes: 20 }, transient: { versions: 0, bytes: 0 } });
  await first.close();

  const second = await open(t, folder);
  t.match(second.totals(), { models: 1, archived: { versions: 1, bytes: 20 }, transient: { versions: 0, bytes: 0 } });
});
