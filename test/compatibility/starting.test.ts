import t from "tap";
import { STARTING } from "./starting.js";
import { holdTable } from "./table.js";

await holdTable(t, STARTING);
