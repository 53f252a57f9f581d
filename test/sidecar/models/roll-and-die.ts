/** Runs a model at version 1, then has version 2; dies where it is told to: `node roll-and-die.js <dir> <config> <package> <failpoints>`. */
import { armFailpoints } from "../../../core/runtime/failpoints.js";
import { quiet } from "../tasks/store-rig.js";
import { openManaged, WAIT_MS } from "./managed-rig.js";
import { SmallRegistry } from "./small-registry.js";

const [dataDir, config, file, failpoints] = process.argv.slice(2);
armFailpoints(failpoints!);
const small = new SmallRegistry(file!);
small.add("m", 1);
const { catalogue } = await openManaged(dataDir!, JSON.parse(config!), quiet, { registry: small.registry });
setInterval(() => {}, 1_000);
await catalogue.ensureReady("m", WAIT_MS);
small.add("m", 2);
