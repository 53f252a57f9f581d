import t from "tap";
import { NAMES } from "./names.js";
import { holdTable } from "./table.js";

await holdTable(t, NAMES);
