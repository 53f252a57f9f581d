import t from "tap";
import { loader } from "../config/loader.js";
import { CONFIG_FILE } from "./config-file.js";
import { holdRows } from "./table.js";

await holdRows(t, CONFIG_FILE, loader(t, { "sluice.yaml": "" }));
