/**
 * The n-th call for a file or for the database fails, for every n, at every step of a version's life: the caller is told clearly, nothing
 * is half-made, and the same step succeeds when it is taken again.
 */
import t, { type Test } from "tap";
import { armFailpoints } from "../../../core/runtime/failpoints.js";
import { makeFolder } from "../../helpers/folder.js";
import { armed, COUNTING } from "../faults/rig.js";
import { filesIn, openRig, push, putModel, type Rig, startRig } from "./local-rig.js";
import { perform, ReferenceModel, type Step, shown } from "./reference-model.js";

const FAULTS = [
  "db.write=throw:SQLITE_FULL",
  "db.read=throw:SQLITE_IOERR_READ",
  "file.call=throw:EIO",
  "file.call=throw:ENOSPC",
  // Durable, but nobody hears of it.
  "writer.after_commit=throw:EIO",
];
/** The writer's, two of the archive, one of transient versions. */
const THREADS = 4;
/** A step that makes more calls than this does not end. */
const MOST_CALLS = 40;

function stepsOf(model: string): Step[] {
  return [
    { do: "put", model, value: "1" },
    { do: "push", model, data: "one", archived: true },
    { do: "push", model, data: "two", archived: false },
    { do: "alias", model, alias: "champion", number: 1 },
    { do: "begin", model, dataBytes: 6 },
    { do: "append", model, at: 0, data: "abc" },
    { do: "append", model, at: 3, data: "def" },
    { do: "put", model, value: "2" },
    { do: "delete-version", model, number: 1 },
    { do: "alias", model, alias: "champion", number: 3 },
    { do: "alias", model, alias: "champion", number: null },
    { do: "delete-model", model },
  ];
}

for (const fault of FAULTS) {
  t.test(`the n-th call fails: ${fault}`, async (t) => {
    armFailpoints(COUNTING);
    t.teardown(() => armFailpoints(null));
    const dataDir = makeFolder(t);
    const rig = await startRig(dataDir);
    await startThreads(rig);
    const reference = new ReferenceModel();
    try {
      let calls = 0;
      for (let reached = true; reached && calls < MOST_CALLS; calls++) {
        reached = await everyStep(t, { rig, reference }, { model: `m${calls}`, spec: `${fault}@${calls + 1}` });
      }
      t.ok(calls > 1 && calls < MOST_CALLS, `each of ${calls - 1} calls failed once`);
    } finally {
      armFailpoints(null);
      await rig.close();
    }
    const again = await openRig(t, { dataDir });
    t.same(filesIn(again.archiveDir), [], "nothing is left of what is gone");
  });
}

/** @returns whether any step made so many calls */
async function everyStep(
  t: Test,
  { rig, reference }: { rig: Rig; reference: ReferenceModel },
  { model, spec }: { model: string; spec: string },
): Promise<boolean> {
  const ids = new Map<string, string>();
  let reached = 0;
  for (const step of stepsOf(model)) {
    let fault: unknown = null;
    const act = async () => {
      fault = await perform(rig, ids, step).then(
        () => null,
        (caught: unknown) => caught,
      );
    };
    reached += await armed(spec, act, THREADS);
    if (fault !== null) {
      checkFault(t, fault, step);
      await same(t, rig, reference, `${spec} at ${step.do}: nothing has happened`);
      await again(rig, ids, step);
    }
    reference.apply(step);
    await same(t, rig, reference, `${spec} at ${step.do}`);
  }
  return reached > 0;
}

/** An upload whose file had its place already is lost with it: it begins anew. */
async function again(rig: Rig, ids: Map<string, string>, step: Step): Promise<void> {
  try {
    await perform(rig, ids, step);
  } catch (caught) {
    if (step.do !== "append" || (caught as { code?: unknown }).code !== "REGISTRY_UPLOAD_UNKNOWN") throw caught;
    await perform(rig, ids, { do: "begin", model: step.model, dataBytes: 6 });
    await perform(rig, ids, { ...step, at: 0, data: step.at === 0 ? step.data : `abc${step.data}` });
  }
}

function checkFault(t: Test, fault: unknown, step: Step): void {
  const { code, message, hint } = fault as { code?: string; message?: string; hint?: string };
  t.ok(code === "DISK_FULL" || code === "STORE_FAILED", `${step.do}: ${code}: ${message}`);
  t.ok(hint, "with a hint");
}

async function same(t: Test, rig: Rig, { models }: ReferenceModel, words: string): Promise<void> {
  const wanted = Object.fromEntries(Object.entries(models).map(([id, { next, ...rest }]) => [id, rest]));
  t.same(await shown(rig.registry), wanted, words);
}

async function startThreads({ registry }: Rig): Promise<void> {
  await putModel(registry, "first");
  await Promise.all([true, true, false].map((archived) => push(registry, "first", "x".repeat(100_000), { archived })));
  await registry.deleteModel("first", { force: false });
}
