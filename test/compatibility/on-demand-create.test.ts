import t from "tap";
import { ON_DEMAND_CREATE } from "./on-demand-create.js";
import { holdTable } from "./table.js";

await holdTable(t, ON_DEMAND_CREATE);
