/** Runs a model at version 1, then has version 2; dies where it is told to: `node roll-and-die.js <dir> <config> <failpoints>`. */
import { armFailpoints } from "../../../core/runtime/failpoints.js";
import { quiet } from "../tasks/store-rig.js";
import { openManaged, WAIT_MS } from "./managed-rig.js";
import { VersionsToFollow } from "./versions-to-follow.js";

const [dataDir, config, failpoints] = process.argv.slice(2);
armFailpoints(failpoints!);
const versions = await VersionsToFollow.open(dataDir!);
await versions.add("m");
const { catalogue } = await openManaged(dataDir!, JSON.parse(config!), quiet, { registry: versions.registry });
setInterval(() => {}, 1_000);
await catalogue.ensureReady("m", WAIT_MS);
await versions.add("m");
