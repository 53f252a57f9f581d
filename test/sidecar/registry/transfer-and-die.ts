/** Brings an archive in or writes it out, once; dies where it is told to. */
import { armFailpoints } from "../../../core/runtime/failpoints.js";
import { Transfers } from "../../../sidecar/registry/transfers.js";
import { allOf, FOREVER } from "./archive-rig.js";
import { startRig } from "./local-rig.js";

const [kind, dir, dataDir, failpoints] = process.argv.slice(2) as [string, string, string, string];
armFailpoints(failpoints);
const rig = await startRig(dataDir);
const transfers = new Transfers(rig);
const events =
  kind === "import"
    ? transfers.import({ dir, replaceUserData: false }, FOREVER)
    : transfers.export({ dir, modelIds: null, merge: true }, FOREVER);
await allOf(events);
await rig.close();
