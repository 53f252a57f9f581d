import t from "tap";
import { ROOT } from "./root.js";
import { holdTable } from "./table.js";

await holdTable(t, ROOT);
