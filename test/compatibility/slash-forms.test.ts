import t from "tap";
import { SLASH_FORMS } from "./slash-forms.js";
import { holdTable } from "./table.js";

await holdTable(t, SLASH_FORMS);
