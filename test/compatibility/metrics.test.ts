import t from "tap";
import { METRICS } from "./metrics.js";
import { holdTable } from "./table.js";

await holdTable(t, METRICS);
