import t from "tap";
import { loader } from "../config/loader.js";
import { CONFIG_ENVIRONMENT } from "./config-environment.js";
import { holdRows } from "./table.js";

await holdRows(t, CONFIG_ENVIRONMENT, loader(t, { "sluice.yaml": "" }));
