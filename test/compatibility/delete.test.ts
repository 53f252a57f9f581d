import t from "tap";
import { DELETE } from "./delete.js";
import { holdTable } from "./table.js";

await holdTable(t, DELETE);
