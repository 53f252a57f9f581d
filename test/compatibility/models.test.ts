import t from "tap";
import { MODELS } from "./models.js";
import { holdTable } from "./table.js";

await holdTable(t, MODELS);
