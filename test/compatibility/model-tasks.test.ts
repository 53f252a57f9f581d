import t from "tap";
import { MODEL_TASKS } from "./model-tasks.js";
import { holdTable } from "./table.js";

await holdTable(t, MODEL_TASKS);
