/**
 * The n-th call for a file or for the database fails, for every n, at every step of a task's life: the caller is told clearly or gets
 * what it asked for, nothing is lost or stuck, and the next one is served without a restart.
 */
import t, { type Test } from "tap";
import { checkFolder } from "../../e2e/crash-matrix/checks.js";
import { type RunningGazetteer, startGazetteer } from "../../helpers/gazetteer.js";
import { TRAINING } from "../../helpers/training.js";
import { armed, checkRefusal, type FaultRig, newDataDir, type Submitted, startFaultRig } from "./rig.js";

interface Scenario {
  readonly name: string;
  /** Which calls fail, and how. */
  readonly faults: readonly string[];
  /** Goes its way once; throws what must not happen. */
  readonly act: (t: Test, rig: FaultRig) => Promise<readonly Submitted[]>;
}

const SMALL = Buffer.from("Seen on 3 March 2021");
const BIG = Buffer.alloc(150_000, "note ");
const BIG_ANSWER = ["Content-Type", "text/plain", "X-Misbehave", "big=150000"];

/** Whoever adds a durable step adds the way that leads there. */
const SCENARIOS: readonly Scenario[] = [
  {
    name: "submit, run, finish",
    faults: ["db.read=throw:SQLITE_IOERR_READ", "db.write=throw:SQLITE_IOERR_WRITE", "db.write=throw:SQLITE_FULL"],
    act: async (t, rig) => toItsEnd(t, rig, await rig.submit(SMALL), "succeeded"),
  },
  {
    name: "submit, run, finish with bodies as files",
    faults: ["file.call=throw:EIO", "file.call=throw:ENOSPC", "db.write=throw:SQLITE_FULL"],
    act: async (t, rig) => toItsEnd(t, rig, await rig.submit(BIG, { headers: BIG_ANSWER }), "succeeded"),
  },
  {
    name: "a training",
    faults: ["db.read=throw:SQLITE_IOERR_READ", "db.write=throw:SQLITE_IOERR_WRITE"],
    act: async (t, rig) => toItsEnd(t, rig, await rig.submit(TRAINING.body, TRAINING.more), "succeeded"),
  },
  {
    name: "cancel",
    faults: ["db.read=throw:SQLITE_IOERR_READ", "db.write=throw:SQLITE_IOERR_WRITE"],
    act: async (t, rig) => {
      const submitted = await rig.submit(BIG, { model: "away" });
      if (submitted.status === 201) await eventuallyCancelled(t, rig, submitted.uuid);
      return [submitted];
    },
  },
  {
    name: "expire",
    faults: ["db.read=throw:SQLITE_IOERR_READ", "db.write=throw:SQLITE_FULL"],
    act: async (t, rig) => toItsEnd(t, rig, await rig.submit(SMALL, { model: "away", deadlineMs: 1 }), "failed"),
  },
];

async function toItsEnd(
  t: Test,
  rig: FaultRig,
  submitted: Submitted,
  wanted: "succeeded" | "failed",
): Promise<readonly Submitted[]> {
  if (submitted.status === 201) {
    const detail = await rig.final(t, submitted.uuid);
    t.equal(detail.status, wanted, `${detail.reason}: ${detail.error_message}`);
    if (detail.result_sha256 !== null) await sameBytes(t, rig, submitted.uuid, detail.result_sha256);
  }
  return [submitted];
}

/** A download may be the call that fails; the next one may not. */
async function sameBytes(t: Test, rig: FaultRig, uuid: string, sha256: string): Promise<void> {
  for (let tries = 0; tries < 2; tries++) {
    const result = await rig.client.result(uuid);
    if (result.status === 200) return void t.equal(result.sha256, sha256);
  }
  t.fail(`the result of ${uuid} cannot be had`);
}

async function eventuallyCancelled(t: Test, rig: FaultRig, uuid: string): Promise<void> {
  for (let tries = 0; tries < 3; tries++) {
    const { status, text } = await rig.client.cancel(uuid);
    if (status === 200 || status === 409) break;
    checkRefusal(t, status, text);
  }
  t.equal((await rig.final(t, uuid)).reason, "cancelled");
}

/** A scenario that makes more calls than this does not end. */
const MOST_CALLS = 150;

t.test("the n-th call fails", async (t) => {
  const server = await startGazetteer(t, { args: ["--train-doc-ms", "1"] });
  for (const scenario of SCENARIOS) {
    for (const fault of scenario.faults) {
      await t.test(`${scenario.name}: ${fault}`, (t) => everyCall(t, { server, scenario, fault }));
    }
  }
});

interface Case {
  readonly server: RunningGazetteer;
  readonly scenario: Scenario;
  readonly fault: string;
}

async function everyCall(t: Test, { server, scenario, fault }: Case): Promise<void> {
  const dataDir = await newDataDir(t);
  const rig = await startFaultRig(dataDir, server);
  try {
    let calls = 0;
    for (let reached = 1; reached > 0 && calls < MOST_CALLS; calls++) {
      reached = await armed(`${fault}@${calls + 1}`, async () => act(t, rig, scenario));
      // The next one is served, without a restart.
      await act(t, rig, scenario);
    }
    t.ok(calls < MOST_CALLS, `each of ${calls - 1} calls failed once`);
  } finally {
    await rig.stop();
  }
  // What could not be removed is swept away by the next start.
  if (fault.startsWith("file.call")) await (await startFaultRig(dataDir, server)).stop();
  await checkFolder(t, dataDir);
}

async function act(t: Test, rig: FaultRig, scenario: Scenario): Promise<void> {
  for (const { status, text } of await scenario.act(t, rig)) if (status !== 201) checkRefusal(t, status, text);
}
