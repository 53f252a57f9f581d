/** Random histories of many callers at once, held against what each of them was told. */
import t, { type Test } from "tap";
import type { VersionInfo } from "../../../core/contract/registry.js";
import type { RegistryChange } from "../../../sidecar/registry/registry.js";
import { filesIn, headerOf, numbers, openRig, pull, push, putModel, type Rig } from "./local-rig.js";

const SEEDS = [1, 2, 3, 4, 5, 6];
const CALLERS = 12;
const ROUNDS = 15;
const MODELS = ["a", "b", "c"];
/** What a caller may be told when others do what they like. */
const REFUSALS = ["REGISTRY_MODEL_UNKNOWN", "REGISTRY_VERSION_UNKNOWN", "REGISTRY_BUSY", "VERSION_REJECTED"];

/** Mulberry32: the same numbers for the same seed. */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

t.test("64 creations at once get 64 numbers", async (t) => {
  const { registry } = await openRig(t);
  await putModel(registry, "foo");
  const infos = await Promise.all(
    Array.from({ length: 64 }, (_, each) => push(registry, "foo", `data ${each}`, { archived: each % 4 !== 0 })),
  );
  t.same(
    infos.map(({ versionNumber }) => versionNumber).sort((one, other) => one - other),
    Array.from({ length: 64 }, (_, each) => each + 1),
  );
  for (const [each, { versionNumber }] of infos.entries()) {
    t.equal(await pull(registry, "foo", versionNumber), `data ${each}`);
  }
});

for (const seed of SEEDS) {
  t.test(`${CALLERS} callers create, delete, name and read as they like (seed ${seed})`, async (t) => {
    const rig = await openRig(t, { settings: { cacheMaxItems: 1_000 } });
    const random = randomOf(seed);
    const changes: RegistryChange[] = [];
    rig.registry.onChange((change) => changes.push(change));
    for (const model of MODELS) await putModel(rig.registry, model);
    await Promise.all(Array.from({ length: CALLERS }, () => caller(t, rig, random)));
    await checkChanges(t, rig, changes);
    await checkEnd(t, rig);
    await rig.close();
    const again = await openRig(t, { dataDir: rig.dataDir });
    await checkEnd(t, again);
  });
}

async function caller(t: Test, rig: Rig, random: (below: number) => number): Promise<void> {
  for (let round = 0; round < ROUNDS; round++) {
    const model = MODELS[random(MODELS.length)]!;
    try {
      await act(t, rig, { model, random });
    } catch (caught) {
      const { code } = caught as { code?: string };
      if (!REFUSALS.includes(code!)) throw caught;
    }
  }
}

async function act(
  t: Test,
  { registry, uploads }: Rig,
  { model, random }: { model: string; random: (below: number) => number },
): Promise<void> {
  const data = `${model} ${random(1_000_000)}`;
  const choice = random(20);
  if (choice < 7) await push(registry, model, data, { archived: choice < 5 });
  else if (choice < 8) await push(registry, model, data, { dataBytes: data.length + 1 });
  else if (choice < 9) await (await registry.create(headerOf(model, data.length))).abort();
  else if (choice < 11) {
    const { id } = await uploads.begin(headerOf(model, data.length));
    const half = data.length >> 1;
    await uploads.append(id, 0, once(data.slice(0, half)));
    await uploads.append(id, half, once(data.slice(half)));
  } else if (choice < 14) await registry.deleteVersion(model, -1 - random(4), { force: false });
  else if (choice < 16) {
    const newest = registry.latest(model);
    if (newest?.archived === true) await registry.setAlias(model, "champion", newest.versionNumber);
  } else if (choice < 17) {
    await registry.deleteModel(model, { force: false });
    await putModel(registry, model);
  } else if (choice < 19) {
    const listed = registry.versions(model, { from: 0, limit: 0 });
    t.same(
      numbers(listed),
      numbers(listed).sort((one, other) => one - other),
      "ascending",
    );
    const info = listed[random(Math.max(1, listed.length))];
    if (info !== undefined) t.ok((await pull(registry, model, info.versionNumber)).startsWith(`${model} `), "whole");
  } else await putModel(registry, model, { at: data });
}

async function* once(data: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(data);
}

/** What was told, replayed, is what there is; and no number came twice while its model lived. */
async function checkChanges(t: Test, { registry }: Rig, changes: readonly RegistryChange[]): Promise<void> {
  const versions = new Map(MODELS.map((model) => [model, new Map<number, VersionInfo>()]));
  const last = new Map(MODELS.map((model) => [model, 0]));
  const repeated: unknown[] = [];
  for (const change of changes) {
    if (change.type === "version-created") {
      const { modelId, versionNumber } = change.info;
      if (versionNumber <= last.get(modelId)!) repeated.push(change);
      last.set(modelId, versionNumber);
      versions.get(modelId)!.set(versionNumber, change.info);
    } else if (change.type === "version-deleted") versions.get(change.modelId)!.delete(change.versionNumber);
    else if (change.type === "model-deleted") {
      versions.set(change.modelId, new Map());
      last.set(change.modelId, 0);
    }
  }
  t.same(repeated, [], "numbers only grow");
  for (const model of MODELS) {
    t.same(registry.versions(model, { from: 0, limit: 0 }), [...versions.get(model)!.values()], model);
  }
}

/** Every file is a version's, every version has its bytes, every alias its version. */
async function checkEnd(t: Test, { registry, archiveDir }: Rig): Promise<void> {
  let archived = 0;
  for (const model of MODELS) {
    const listed = registry.versions(model, { from: 0, limit: 0 });
    for (const { versionNumber } of listed) await pull(registry, model, versionNumber);
    archived += listed.filter((info) => info.archived).length;
    for (const { versionNumber } of registry.aliases(model)) t.ok(registry.version(model, versionNumber!));
  }
  // An upload in pieces of a model that was deleted waits for its next piece, or a day.
  const files = filesIn(archiveDir).filter((file) => !file.startsWith("incoming/"));
  t.equal(files.length, archived, `${files}`);
}
