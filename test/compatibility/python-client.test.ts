import t from "tap";
import { PYTHON_CLIENT } from "./python-client.js";
import { holdTable } from "./table.js";

await holdTable(t, PYTHON_CLIENT);
