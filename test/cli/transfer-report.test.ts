/** What an import or an export tells of what it did not simply copy. */
import t from "tap";
import { formatTable } from "../../cli/table.js";
import { formatBytes } from "../../cli/terminal.js";
import { REPORT_COLUMNS } from "../../cli/transfer-report.js";

t.test("why something was left out is told whole, however narrow the terminal", (t) => {
  const message = "its .yaml has no SHA-256 in base64, as Cogment's registry writes it, under data_hash";
  const told = { event: "item", outcome: "left-out", modelId: "bad", versionNumber: 3, name: "bad-v000003" } as const;
  const row = { ...told, problem: "info_invalid", message, dataBytes: 0 } as const;
  t.match(formatTable([row], REPORT_COLUMNS, { isTerminal: true, width: 60, hasColour: false }), message);
  t.end();
});

t.test("a rate of part of a byte is told in whole ones", (t) => {
  t.equal(formatBytes(119.51630317907792), "120 B");
  t.equal(formatBytes(1_500), "1.5 kB");
  t.end();
});
