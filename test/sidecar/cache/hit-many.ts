/**
 * Submits one request over and over: the first is answered and kept, the others are hits. Prints each hit's uuid once it is durable.
 * Dies where it is told to.
 */
import { configSchema } from "../../../config/schema.js";
import { type Clock, systemClock } from "../../../core/runtime/clock.js";
import { armFailpoints } from "../../../core/runtime/failpoints.js";
import { createHttpClient } from "../../../core/runtime/http.js";
import { createModelVersions } from "../../../sidecar/cache/model-versions.js";
import { createResultCache } from "../../../sidecar/cache/result-cache.js";
import { openTasks } from "../../../sidecar/tasks/open-tasks.js";
import { storeBytes } from "../../../sidecar/tasks/store.js";
import { submitTask } from "../../../sidecar/tasks/submit.js";
import { sampleAnswer, succeeded } from "../../contract/task-samples.js";
import { oneModel, submission } from "../api/app-rig.js";
import { quiet } from "../tasks/store-rig.js";

const [dataDir, infoUrl, failpoints] = process.argv.slice(2);
armFailpoints(failpoints ?? null);
const bounds = () => ({ maxTasks: 1e6, maxBytes: 2 ** 40 });
const { store, blobs, answers } = await openTasks({ dataDir: dataDir!, bounds, logger: quiet });
const models = oneModel();
models.change({ url: infoUrl! });
const http = createHttpClient();
/** However busy the machine is, the model's version comes in time: without it nothing is kept and nothing hit. */
const patient: Clock = { ...systemClock, after: (delayMs, action) => systemClock.after(delayMs * 200, action) };
const cache = createResultCache({
  answers: { ...answers, keep: async (key, uuid) => answers.keep(key, uuid).finally(() => kept()) },
  blobs,
  versions: createModelVersions(models.catalogue, http, patient),
  settings: () => ({ enabled: true, maxAgeMs: 3_600_000 }),
  changesModel: () => false,
  clock: systemClock,
  logger: quiet,
  observer: { asked() {}, completed() {} },
});
store.onChange((task) => cache.heard(task));
let kept: () => void = () => undefined;
const isKept = new Promise<void>((resolve) => {
  kept = resolve;
});

async function* body(): AsyncGenerator<Buffer> {
  yield Buffer.alloc(100_000, "note ");
}

const config = configSchema.parse({});
const deps = { store, blobs, cache, config: () => config, anticipate: () => {}, now: Date.now };
const submit = () => submitTask(deps, submission(), body());

const { task } = await submit();
const claim = await store.claim(task.model, [task.class], Date.now());
const answer = { ...sampleAnswer(), body: await storeBytes(blobs, Buffer.alloc(100_000, "result ")) };
await store.finish(task.uuid, claim!.task.attempt, { ...succeeded(answer), finishedAtMs: Date.now() });
await isKept;
for (let hits = 0; hits < 10; hits++) {
  const { task: hit } = await submit();
  process.stdout.write(`${hit.status === "succeeded" ? "hit" : "miss"} ${hit.uuid}\n`);
}
await http.close();
await store.close();
