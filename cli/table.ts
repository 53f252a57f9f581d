/** Tables on stdout: fitted and coloured for a person at a terminal, plain lines for a program. */
import { plain } from "./terminal.js";

export interface Column<T> {
  readonly title: string;
  readonly value: (row: T) => string | null | undefined;
  /** What becomes of it at a terminal too narrow for all: left out, the rightmost first, or cut. Default: neither. */
  readonly whenNarrow?: "leave-out" | "cut";
  readonly colour?: (row: T) => Colour | null;
}

export type Colour = "green" | "red" | "yellow";
const COLOURS: Readonly<Record<Colour, number>> = { red: 31, green: 32, yellow: 33 };
const GAP = "  ";
/** A cell is never cut below this. */
const NARROWEST = 5;

/** Aligned columns with a head at a terminal; tab-separated lines without head for programs. Empty values show as `-`. */
export function formatTable<T>(rows: readonly T[], columns: readonly Column<T>[], layout: TableLayout): string {
  const cellOf = (row: T, column: Column<T>) => plain(column.value(row) ?? "") || "-";
  if (!layout.isTerminal) {
    return rows.map((row) => `${columns.map((column) => cellOf(row, column)).join("\t")}\n`).join("");
  }
  const widest = columns.map((column) =>
    Math.max(column.title.length, ...rows.map((row) => cellOf(row, column).length)),
  );
  const widths = fitWidths(columns, widest, layout.width);
  const shown = columns.flatMap((column, index) => (widths[index] === null ? [] : [{ column, width: widths[index]! }]));
  const lineOf = (textOf: (column: Column<T>) => string, colourOf: (column: Column<T>) => Colour | null) =>
    shown
      .map(({ column, width }, index) => {
        const text = cut(textOf(column), width);
        const padding = index === shown.length - 1 ? "" : " ".repeat(width - text.length);
        return coloured(text, layout.hasColour ? colourOf(column) : null) + padding;
      })
      .join(GAP);
  const head = lineOf(
    (column) => column.title,
    () => null,
  );
  const lines = rows.map((row) =>
    lineOf(
      (column) => cellOf(row, column),
      (column) => column.colour?.(row) ?? null,
    ),
  );
  return [...(layout.hasHead === false ? [] : [head]), ...lines].map((line) => `${line}\n`).join("");
}

/** The columns' widths at a terminal of this width; null for one that is left out. Pure. */
export function fitWidths(
  columns: readonly Pick<Column<never>, "whenNarrow">[],
  widest: readonly number[],
  width: number,
): (number | null)[] {
  const widths: (number | null)[] = [...widest];
  const over = () => {
    const shown = widths.filter((each) => each !== null);
    return shown.reduce((sum, each) => sum + each, 0) + GAP.length * (shown.length - 1) - width;
  };
  for (let index = columns.length - 1; index >= 0 && over() > 0; index--) {
    if (columns[index]!.whenNarrow === "leave-out") widths[index] = null;
  }
  for (let left = over(); left > 0; left--) {
    const cuttable = columns.flatMap(({ whenNarrow }, index) => (whenNarrow === "cut" ? [index] : []));
    const longest = cuttable.reduce((best, index) => (widths[index]! > (widths[best] ?? 0) ? index : best), -1);
    if (longest < 0 || widths[longest]! <= NARROWEST) break;
    widths[longest]! -= 1;
  }
  return widths;
}

function cut(text: string, width: number): string {
  return text.length > width ? `${text.slice(0, width - 1)}…` : text;
}

export function coloured(text: string, colour: Colour | null): string {
  return colour === null ? text : `\u001b[${COLOURS[colour]}m${text}\u001b[0m`;
}

export interface TableLayout {
  readonly isTerminal: boolean;
  readonly width: number;
  readonly hasColour: boolean;
  /** Default true, at a terminal. */
  readonly hasHead?: boolean;
}

/** Colour only at a terminal, and only where nobody has asked for none (no-color.org). */
export function layoutOf(stream: NodeJS.WriteStream): TableLayout {
  const isTerminal = stream.isTTY === true;
  const hasColour = isTerminal && (process.env.NO_COLOR ?? "") === "" && process.env.TERM !== "dumb";
  return { isTerminal, width: stream.columns ?? 120, hasColour };
}
