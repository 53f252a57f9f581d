import t from "tap";
import { DEPLOY_RULES } from "./deploy-rules.js";
import { holdTable } from "./table.js";

await holdTable(t, DEPLOY_RULES);
