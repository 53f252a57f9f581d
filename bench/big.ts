/** Bodies of 2 GB, and how far each process of Sluice grows over what it was at rest before. */
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { SMALL_ANSWER } from "./peers/answer.js";
import type { Peer } from "./peers/peer.js";
import { readPeakMib, readRssMib, resetPeak } from "./peers/procfs.js";
import { type SluicePeer, startSluice } from "./peers/sluice.js";
import { formatTarget, Progress, printSection } from "./report/run.js";
import { formatMib, formatTable } from "./report/table.js";

const BODY_BYTES = 2 * 2 ** 30;
const CHUNK = Buffer.alloc(256 * 1024, "Seen on 3 March 2021 by Dr Khan. ");
const TIMEOUT_MS = 600_000;
const MAX_EACH_MIB = 64;
const MAX_SUM_MIB = 96;

interface Way {
  readonly name: string;
  readonly path: string;
  readonly sent: number;
  readonly answered: number;
}

const WAYS: readonly Way[] = [
  { name: "light, 2 GB body", path: "/process", sent: BODY_BYTES, answered: SMALL_ANSWER.length },
  { name: "light, 2 GB answer", path: `/process?answer=${BODY_BYTES}`, sent: 1024, answered: BODY_BYTES },
  { name: "heavy, 2 GB body", path: "/process_bulk", sent: BODY_BYTES, answered: SMALL_ANSWER.length },
];

export interface BigRow {
  readonly way: string;
  readonly seconds: number;
  readonly growthMib: Record<string, number>;
  /** What went wrong; null when the answer was whole. */
  readonly fault: string | null;
}

async function send(sluice: SluicePeer, { path, sent, answered }: Way): Promise<string | null> {
  const req = request({
    host: sluice.host,
    port: sluice.port,
    method: "POST",
    path: `${sluice.prefix}${path}`,
    headers: { "content-type": "text/plain", "content-length": sent },
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  const answer = once(req, "response") as Promise<[IncomingMessage]>;
  answer.catch(() => undefined);
  for (let left = sent; left > 0; left -= Math.min(left, CHUNK.length)) {
    const room = req.write(left >= CHUNK.length ? CHUNK : CHUNK.subarray(0, left));
    if (!room) await Promise.race([once(req, "drain"), answer]);
    if (req.destroyed) break;
  }
  req.end();
  const [res] = await answer;
  let received = 0;
  for await (const chunk of res as AsyncIterable<Buffer>) received += chunk.length;
  if (res.statusCode !== 200) return `status ${res.statusCode}`;
  return received === answered ? null : `${received} bytes instead of ${answered}`;
}

async function measure(sluice: SluicePeer, way: Way): Promise<BigRow> {
  const before = new Map<number, number>();
  for (const { pid } of sluice.processes) {
    resetPeak(pid);
    before.set(pid, readRssMib(pid));
  }
  const startMs = performance.now();
  const fault = await send(sluice, way).catch((error: Error) => error.message);
  const growthMib: Record<string, number> = {};
  for (const { name, pid } of sluice.processes) growthMib[name] = readPeakMib(pid) - (before.get(pid) ?? Number.NaN);
  return { way: way.name, seconds: (performance.now() - startMs) / 1000, growthMib, fault };
}

export async function runBig(upstream: Peer, folder: string): Promise<BigRow[]> {
  const sluice = await startSluice({ workers: 1, upstreamPort: upstream.port, folder });
  const progress = new Progress(WAYS.length);
  const rows: BigRow[] = [];
  try {
    // One small request each way first, so that what every process loads once is not counted as growth.
    for (const way of WAYS)
      await send(sluice, { ...way, path: way.path.split("?", 1)[0]!, sent: 1024, answered: SMALL_ANSWER.length });
    for (const way of WAYS) {
      progress.step(way.name);
      rows.push(await measure(sluice, way));
    }
    progress.stop();
    report(sluice, rows);
    return rows;
  } finally {
    progress.stop();
    await sluice.stop();
  }
}

function report(sluice: SluicePeer, rows: readonly BigRow[]): void {
  const names = sluice.processes.map(({ name }) => name);
  const sum = (row: BigRow) => names.reduce((total, name) => total + (row.growthMib[name] ?? Number.NaN), 0);
  const lines = rows.map((row) => [
    row.way,
    row.seconds.toFixed(1),
    ...names.map((name) => formatMib(row.growthMib[name] ?? Number.NaN)),
    formatMib(sum(row)),
    row.fault ?? "whole",
  ]);
  const most = Math.max(...rows.flatMap((row) => Object.values(row.growthMib)));
  const mostSum = Math.max(...rows.map(sum));
  const faults = rows.filter(({ fault }) => fault !== null).length;
  printSection(
    "Peak growth in MiB",
    formatTable(["way", "seconds", ...names, "sum", "answer"], lines),
    [
      formatTarget(`less than ${MAX_EACH_MIB} MiB in each process`, `${formatMib(most)} MiB`, most < MAX_EACH_MIB),
      formatTarget(`less than ${MAX_SUM_MIB} MiB in sum`, `${formatMib(mostSum)} MiB`, mostSum < MAX_SUM_MIB),
      formatTarget("every answer whole", `${faults} damaged`, faults === 0),
    ].join("\n"),
  );
}
