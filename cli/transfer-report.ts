/** What a person sees of an import or export: a bar while it runs, then what was not simply copied, and the sums. */
import {
  type EndEvent,
  type ItemEvent,
  type TransferEvent,
  TransferTally,
} from "../core/contract/registry-transfer.js";
import { type Column, formatTable, layoutOf } from "./table.js";
import { formatBytes } from "./terminal.js";
import { showTransfer, type TransferProgress } from "./transfer-progress.js";

/** More items than this are counted, not listed. */
const MAX_LISTED = 10_000;

const WORDS = {
  import: { doing: "Importing", done: "imported" },
  export: { doing: "Exporting", done: "exported" },
} as const;

export class TransferReport {
  readonly #words: (typeof WORDS)[keyof typeof WORDS];
  readonly #isJson: boolean;
  readonly #items: ItemEvent[] = [];
  readonly #tally = new TransferTally();
  #bar: TransferProgress | null = null;
  #doneBytes = 0;
  #unlisted = 0;

  constructor(kind: keyof typeof WORDS, isJson: boolean) {
    this.#words = WORDS[kind];
    this.#isJson = isJson;
  }

  add(event: TransferEvent): void {
    if (event.event === "scanned") this.#bar = showTransfer(this.#words.doing, event.dataBytes);
    else if (event.event === "progress") {
      this.#doneBytes += event.dataBytes;
      this.#bar?.at(this.#doneBytes);
    } else if (event.event === "item") this.#addItem(event);
  }

  /** Takes the bar away. Idempotent. */
  stop(): void {
    this.#bar?.end();
    this.#bar = null;
  }

  /** Says what there is to say. @returns false when something was left out */
  end(): boolean {
    const { summary } = this.#tally;
    if (this.#isJson) process.stdout.write(`${JSON.stringify(this.#asJson(), null, 2)}\n`);
    else {
      const layout = layoutOf(process.stdout);
      if (this.#items.length > 0) process.stdout.write(formatTable(this.#items, REPORT_COLUMNS, layout));
      const more = this.#unlisted === 0 ? "" : `… and ${this.#unlisted} more\n`;
      (layout.isTerminal ? process.stdout : process.stderr).write(
        `${more}${describeSums(this.#words.done, summary)}\n`,
      );
    }
    return summary.leftOut === 0;
  }

  #addItem(item: ItemEvent): void {
    this.#tally.add(item);
    if (item.outcome !== "left-out" && item.outcome !== "noted") return;
    if (this.#items.length < MAX_LISTED) this.#items.push(item);
    else this.#unlisted += 1;
  }

  #asJson() {
    const { models, versions, dataBytes, leftOut, noted } = this.#tally.summary;
    return {
      ...{ models, versions, data_bytes: dataBytes, left_out: leftOut, noted },
      items: this.#items.map(({ outcome, modelId, versionNumber, name, problem, message }) => ({
        ...{ outcome: outcome === "left-out" ? "left_out" : outcome, model_id: modelId, version_number: versionNumber },
        ...{ name, problem, message },
      })),
      items_not_listed: this.#unlisted,
    };
  }
}

export const REPORT_COLUMNS: readonly Column<ItemEvent>[] = [
  { title: "MODEL", value: (item) => item.modelId ?? item.name },
  { title: "VERSION", value: (item) => item.versionNumber?.toString() },
  {
    title: "WHAT",
    value: (item) => (item.outcome === "noted" ? "noted" : "left out"),
    colour: (item) => (item.outcome === "noted" ? "yellow" : "red"),
  },
  // Never cut: it is what has to be acted on, and a terminal breaks the line.
  { title: "WHY", value: (item) => item.message },
];

/** One sentence. Pure. */
export function describeSums(done: string, { models, versions, dataBytes, leftOut }: Omit<EndEvent, "event">): string {
  const copied = `${count(models.copied, "model")} and ${count(versions.copied, "version")} ${done} (${formatBytes(dataBytes)})`;
  const there = versions.present === 0 ? "" : `, ${count(versions.present, "version")} there already`;
  return `${copied}${there}, ${leftOut === 0 ? "nothing left out" : `${leftOut} left out`}`;
}

function count(number: number, of: string): string {
  return `${number} ${of}${number === 1 ? "" : "s"}`;
}
