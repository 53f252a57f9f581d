import t from "tap";
import { ON_DEMAND_CHANGE } from "./on-demand-change.js";
import { holdTable } from "./table.js";

await holdTable(t, ON_DEMAND_CHANGE);
