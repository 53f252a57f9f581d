/** Deploys a model and removes it, saying what is done; dies where it is told to: `node manage-and-die.js <dir> <config> <failpoints>`. */
import { armFailpoints } from "../../../core/runtime/failpoints.js";
import { quiet } from "../tasks/store-rig.js";
import { deployRequest, openManaged, WAIT_MS } from "./managed-rig.js";

const [dataDir, config, failpoints] = process.argv.slice(2);
armFailpoints(failpoints === "" ? null : failpoints!);
const { management, catalogue } = await openManaged(dataDir!, JSON.parse(config!), quiet);
setInterval(() => {}, 1_000);
const { container_id } = await management.deploy("m", deployRequest(600));
await catalogue.ensureReady("m", WAIT_MS);
process.stdout.write(`${container_id}\n`);
if (failpoints !== "") await management.remove("m", false);
