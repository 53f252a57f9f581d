import t from "tap";
import { LITERALS } from "./literals.js";
import { holdTable } from "./table.js";

await holdTable(t, LITERALS);
