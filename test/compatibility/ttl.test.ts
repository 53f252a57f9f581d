import t from "tap";
import { holdTable } from "./table.js";
import { TTL } from "./ttl.js";

await holdTable(t, TTL);
