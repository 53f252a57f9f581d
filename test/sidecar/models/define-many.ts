/** Replaces one model's configuration over and over and deploys it, saying what is durable. Dies where it is told to. */
import { armFailpoints } from "../../../core/runtime/failpoints.js";
import { openTasks } from "../../../sidecar/tasks/open-tasks.js";
import { quiet } from "../tasks/store-rig.js";
import { newOnDemand, sampleDeployment } from "./model-samples.js";

const [dataDir, failpoints] = process.argv.slice(2);
armFailpoints(failpoints ?? null);
const bounds = () => ({ maxTasks: 1e6, maxBytes: 2 ** 40 });
const { models, store } = await openTasks({ dataDir: dataDir!, bounds, logger: quiet });
for (let each = 1; each <= 4; each++) {
  const { id } = await models.createConfig(newOnDemand({ modelUri: `models:/m/${each}` }));
  process.stdout.write(`version ${id}\n`);
  const { version } = (await models.enableConfig(1))!;
  process.stdout.write(`enabled ${version.id}\n`);
  await models.putDeployment(sampleDeployment({ createdAtMs: each }));
  process.stdout.write(`deployed ${each}\n`);
}
await store.close();
