/** The n-th call of a start fails, for every n: the start says so and leaves nothing running, and the next one finds everything. */
import { BroadcastChannel } from "node:worker_threads";
import t, { type Test } from "tap";
import { FAILPOINT_CHANNEL } from "../../../core/runtime/failpoints.js";
import { checkFolder } from "../../e2e/crash-matrix/checks.js";
import { type RunningGazetteer, startGazetteer } from "../../helpers/gazetteer.js";
import { newDataDir, startFaultRig } from "./rig.js";

const MOST_CALLS = 100;
const BIG = Buffer.alloc(150_000, "note ");

t.test("the n-th call of a start fails", async (t) => {
  const server = await startGazetteer(t);
  for (const fault of ["file.call=throw:EIO", "db.start=throw:SQLITE_IOERR_READ", "db.read=throw:SQLITE_IOERR_READ"]) {
    await t.test(fault, (t) => everyStart(t, server, fault));
  }
});

async function everyStart(t: Test, server: RunningGazetteer, fault: string): Promise<void> {
  const dataDir = await newDataDir(t);
  const first = await startFaultRig(dataDir, server);
  const { uuid } = await first.submit(BIG, { model: "away" });
  await first.stop();
  let calls = 0;
  for (let acted = true; acted && calls < MOST_CALLS; calls++)
    acted = await startOnce(t, { dataDir, server, fault, n: calls + 1 });
  t.ok(calls < MOST_CALLS, `each of ${calls - 1} calls failed once`);
  const last = await startFaultRig(dataDir, server);
  t.match(await last.client.detail(uuid), { status: "pending", attempts: 0 }, "what waits is there");
  await last.stop();
  await checkFolder(t, dataDir);
}

interface Start {
  readonly dataDir: string;
  readonly server: RunningGazetteer;
  readonly fault: string;
  readonly n: number;
}

/** @returns whether the start made so many calls */
async function startOnce(t: Test, { dataDir, server, fault, n }: Start): Promise<boolean> {
  const channel = new BroadcastChannel(FAILPOINT_CHANNEL);
  let acted = false;
  channel.onmessage = () => {
    acted = true;
  };
  try {
    await (await startFaultRig(dataDir, server, `${fault}@${n}`)).stop();
  } catch (caught) {
    t.match((caught as { code?: unknown }).code, /^(EIO|STORE_FAILED|SQLITE_IOERR_READ)$/, "the start names its cause");
    acted = true;
  } finally {
    channel.close();
  }
  return acted;
}
