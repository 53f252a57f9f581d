import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import t from "tap";
import { systemClock } from "../../../core/runtime/clock.js";
import { createHttpClient } from "../../../core/runtime/http.js";
import { startDelivery } from "../../../sidecar/callbacks/delivery.js";
import { makeFolder } from "../../helpers/folder.js";
import { openRig, quiet } from "../tasks/store-rig.js";
import { startReceiver } from "./receiver.js";

const PROGRAM = fileURLToPath(new URL("./deliver-one.js", import.meta.url));

/** Where it dies, and how many deliveries the receiver has seen by then. */
const STEPS = [
  ["callback.before_send=kill", 0],
  ["callback.after_send=kill", 1],
  ["callback.before_commit=kill", 1],
] as const;

for (const [spec, before] of STEPS) {
  t.test(`killed at ${spec}: the task's end is told after the next start`, async (t) => {
    const dataDir = makeFolder(t);
    const receiver = await startReceiver(t, [200]);
    const child = spawn(process.execPath, [PROGRAM, dataDir, receiver.url, spec], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [, signal] = await once(child, "close");
    t.equal(signal, "SIGKILL");
    t.equal(receiver.received.length, before);

    const { callbacks, store } = await openRig(t, { dataDir });
    const { uuid } = store.list({ limit: 1 }).tasks[0]!;
    t.same(callbacks.stateOf(uuid), { state: "pending", attempts: 0 });
    const http = createHttpClient();
    const told = new Promise<void>((resolve) => {
      const delivery = startDelivery({
        store: callbacks,
        http,
        key: () => null,
        clock: systemClock,
        logger: quiet,
        observer: { called: () => resolve() },
      });
      t.teardown(async () => {
        await delivery.stop();
        await http.close();
      });
    });
    await told;
    t.same(callbacks.stateOf(uuid), { state: "delivered", attempts: 1 });
    t.equal(receiver.received.length, before + 1);
    t.equal(new Set(receiver.received.map(({ headers }) => headers["webhook-id"])).size, 1, "under the same id");
  });
}
