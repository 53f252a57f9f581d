import t from "tap";
import { holdTable } from "./table.js";
import { VALIDATION } from "./validation.js";

await holdTable(t, VALIDATION);
