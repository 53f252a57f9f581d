import t from "tap";
import { holdTable } from "./table.js";
import { TASKS } from "./tasks.js";

await holdTable(t, TASKS);
