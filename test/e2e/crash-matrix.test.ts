/**
 * Promises 1, 2, 3 and 6 at every named place: a real sidecar is killed there by SIGKILL, the next one is killed at the next place
 * while it takes up what the first one left, and the last one of a chain must bring everything to its one end.
 */
import t from "tap";
import { FAILPOINTS } from "../../core/runtime/failpoint-list.js";
import { chainsOf, nameOf, runChain } from "./crash-matrix/chain.js";

t.jobs = 2;
const rows = FAILPOINTS.map((place) => ({ spec: `${place}=kill`, drive: "everything" as const }));
for (const chain of chainsOf(rows)) t.test(nameOf(chain), (t) => runChain(t, chain));
