/** Tables as Markdown, aligned, so that the same text is read in a terminal and pasted into docs/benchmarks.md. */
export function formatTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((title, column) =>
    Math.max(title.length, 3, ...rows.map((row) => (row[column] ?? "").length)),
  );
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!))).join(" | ")} |`;
  const rule = `|${widths.map((width, column) => (column === 0 ? "-".repeat(width + 2) : `${"-".repeat(width + 1)}:`)).join("|")}|`;
  return [line(header), rule, ...rows.map(line)].join("\n");
}

const known = (value: number, text: string) => (Number.isFinite(value) ? text : "–");

export const formatCount = (value: number) => known(value, Math.round(value).toLocaleString("en"));
export const formatRatio = (value: number) => known(value, value.toFixed(2));
export const formatMs = (value: number) => known(value, value.toFixed(Math.abs(value) < 10 ? 2 : 1));
export const formatMib = (value: number) => known(value, value.toFixed(1));
export const formatErrors = (errors: Readonly<Record<string, number>>) =>
  Object.entries(errors)
    .map(([kind, count]) => `${count} ${kind}`)
    .join(", ") || "0";

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  if (sorted.length === 0) return Number.NaN;
  return (sorted[Math.floor((sorted.length - 1) / 2)]! + sorted[Math.ceil((sorted.length - 1) / 2)]!) / 2;
}
