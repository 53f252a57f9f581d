import t from "tap";
import { DEPLOY } from "./deploy.js";
import { holdTable } from "./table.js";

await holdTable(t, DEPLOY);
