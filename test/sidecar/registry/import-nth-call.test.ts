/**
 * The n-th call for a file or for the database fails, for every n of an import: what it could not bring in is told of or ends the run in
 * words, what is there is whole, and the next run does the rest.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { BroadcastChannel } from "node:worker_threads";
import t, { type Test } from "tap";
import { SluiceError } from "../../../core/contract/errors.js";
import { ARMING_CHANNEL, armFailpoints, FAILPOINT_CHANNEL } from "../../../core/runtime/failpoints.js";
import { importArchive } from "../../../sidecar/registry/import-archive.js";
import { makeFolder } from "../../helpers/folder.js";
import { allOf, contentsOf, FOREVER, modelFiles, writeFiles } from "./archive-rig.js";
import { push, type Rig, startRig } from "./local-rig.js";

const FAULTS = [
  "file.call=throw:EIO",
  "file.call=throw:ENOSPC",
  "db.read=throw:SQLITE_IOERR_READ",
  "db.write=throw:SQLITE_FULL",
];
/** Armed, but nowhere. */
const COUNTING = "nowhere=throw:EIO";
/** An import of so little that makes more calls does not end. */
const MOST_CALLS = 120;

/** The writer's and two of the archive. */
const THREADS = 3;

/** Runs `act` with every thread armed. @returns whether one acted */
async function armed(spec: string, act: () => Promise<void>): Promise<boolean> {
  const channel = new BroadcastChannel(FAILPOINT_CHANNEL);
  let hasActed = false;
  let waiting = 0;
  let onArmed = () => {};
  channel.onmessage = (message) => {
    if ((message as { data: string }).data !== "armed") hasActed = true;
    else if (--waiting === 0) onArmed();
  };
  const arm = async (next: string) => {
    const heard = new Promise<void>((resolve) => {
      onArmed = resolve;
    });
    waiting = THREADS;
    armFailpoints(next);
    const arming = new BroadcastChannel(ARMING_CHANNEL);
    arming.postMessage(next);
    await heard;
    arming.close();
  };
  await arm(spec);
  await act();
  await arm(COUNTING);
  channel.close();
  return hasActed;
}

for (const fault of FAULTS) {
  t.test(`the n-th call fails: ${fault}`, async (t) => {
    const dir = join(makeFolder(t), "cogment");
    mkdirSync(dir);
    writeFiles(dir, modelFiles("foo", { 1: Buffer.from("one"), 3: Buffer.from("three") }));
    armFailpoints(COUNTING);
    t.teardown(() => armFailpoints(null));
    const rig = await startRig(makeFolder(t));
    const run = () => allOf(importArchive({ dir, replaceUserData: false }, rig, FOREVER));
    await startThreads(rig);
    await run();
    const wanted = await contentsOf(rig.registry);
    let calls = 0;
    for (let hasActed = true; hasActed && calls < MOST_CALLS; calls++) {
      await rig.registry.deleteModel("foo", { force: false });
      hasActed = await armed(`${fault}@${calls + 1}`, () =>
        run().then(
          () => undefined,
          (caught) => checkFault(t, caught),
        ),
      );
      await checkWhole(t, rig, wanted);
      t.match((await run()).at(-1), { leftOut: 0 }, "the next run does the rest");
      t.same(await contentsOf(rig.registry), wanted);
    }
    t.ok(calls > 1 && calls < MOST_CALLS, `each of ${calls - 1} calls failed once`);
    await rig.close();
  });
}

async function startThreads({ registry }: Rig): Promise<void> {
  await registry.putModel({ modelId: "first", userData: {} });
  await Promise.all([1, 2].map(() => push(registry, "first", "x".repeat(100_000))));
  await registry.deleteModel("first", { force: false });
}

function checkFault(t: Test, caught: unknown): void {
  const code = caught instanceof SluiceError ? caught.code : String(caught);
  t.ok(["DISK_FULL", "STORE_FAILED", "INVALID_PARAMETER"].includes(code), code);
}

async function checkWhole(t: Test, rig: Rig, wanted: Awaited<ReturnType<typeof contentsOf>>): Promise<void> {
  for (const { versions } of Object.values(await contentsOf(rig.registry))) {
    for (const version of versions) {
      t.same(
        version,
        wanted.foo!.versions.find((each) => each.versionNumber === version.versionNumber),
      );
    }
  }
}
