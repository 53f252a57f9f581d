import t from "tap";
import { tableWriter } from "../../cli/list-tasks.js";
import { type Column, fitWidths, formatTable } from "../../cli/table.js";
import type { TaskDetail } from "../../core/contract/tasks.js";

type Row = readonly string[];
const cell = (index: number, more: Partial<Column<Row>> = {}): Column<Row> => ({
  title: `C${index}`,
  value: (row) => row[index],
  ...more,
});
const layout = { isTerminal: true, width: 80, hasColour: false };

t.test("programs get every column whole, tab-separated, without head or colour", async (t) => {
  const columns = [cell(0, { whenNarrow: "cut", colour: () => "red" }), cell(1, { whenNarrow: "leave-out" })];
  const rows = [["a".repeat(200), ""]];
  t.equal(formatTable(rows, columns, { ...layout, isTerminal: false, width: 10 }), `${"a".repeat(200)}\t-\n`);
});

t.test("a narrow terminal leaves out what may be, the rightmost first, then cuts the longest", async (t) => {
  const columns = [cell(0), cell(1, { whenNarrow: "cut" }), cell(2, { whenNarrow: "leave-out" }), cell(3)];
  t.same(fitWidths(columns, [10, 20, 10, 5], 100), [10, 20, 10, 5], "there is room");
  t.same(fitWidths(columns, [10, 20, 10, 5], 40), [10, 20, null, 5]);
  t.same(fitWidths(columns, [10, 20, 10, 5], 30), [10, 11, null, 5]);
  t.same(fitWidths(columns, [10, 20, 10, 5], 10), [10, 5, null, 5], "what must be stays, however narrow");
});

t.test("colours stand around the text alone, and the columns stay aligned", async (t) => {
  const columns = [cell(0, { colour: (row) => (row[0] === "bad" ? "red" : null) }), cell(1)];
  t.equal(
    formatTable(
      [
        ["bad", "x"],
        ["fine", "y"],
      ],
      columns,
      { ...layout, hasColour: true },
    ),
    "C0    C1\n\u001b[31mbad\u001b[0m   x\nfine  y\n",
  );
});

t.test("the list of tasks fits eighty columns, whatever is in it", async (t) => {
  const task = {
    uuid: "0b5c6a4e-6d0f-4c2b-9a55-0d6a1f1f4c11",
    status: "failed",
    reason: "model_unavailable",
    model: "medcat-snomed-2024-with-a-long-name",
    type: "train_unsupervised_with_hf_hub_dataset",
    class: "training",
    priority: 7,
    tenant: "a-hospital",
    created_at: new Date(Date.now() - 80 * 60_000).toISOString(),
    started_at: null,
    finished_at: null,
  } as unknown as TaskDetail;
  const text = tableWriter(layout).page([task, { ...task, reason: null, status: "succeeded" }]);
  const [head, ...lines] = text.trimEnd().split("\n");
  t.match(head, /^ID {36}STATUS +MODEL +TASK +AGE *$/);
  for (const line of [head!, ...lines]) t.ok(line.length <= 80, `${line.length}: ${line}`);
  for (const part of [task.uuid, "model_unavailable", "medc", "80 min"]) t.match(lines[0], part);
  const wide = tableWriter({ ...layout, width: 200 }).page([task]);
  for (const part of [task.model, task.type, "a-hospital", "PRIO"]) t.match(wide, part);
});
