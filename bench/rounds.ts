/** The interleaved rounds of bench/light: every peer gets each shape once per round, so that a slow minute hits all alike. */
import { Histogram } from "./load/histogram.js";
import type { LoadPlan, LoadRequest, LoadResult } from "./load/plan.js";
import { SMALL_ANSWER } from "./peers/answer.js";
import type { LoadGenerator } from "./peers/child.js";
import type { Peer } from "./peers/peer.js";
import { readCpuSeconds } from "./peers/procfs.js";

export interface Shape {
  readonly name: string;
  /** Path below the model's base. */
  readonly path: string;
  readonly body: Uint8Array | null;
  /** Arrivals per second; null: saturated. */
  readonly rate: number | null;
  readonly connections: number;
}

const text = (bytes: number) => Buffer.alloc(bytes, "Seen on 3 March 2021 by Dr Khan, tel 020 7946 0958. ");
const get = { path: "/info", body: null };
const post1k = { path: "/process", body: text(1024) };
const post1m = { path: "/process", body: text(2 ** 20) };

export const SHAPES: readonly Shape[] = [
  { ...get, name: "GET, 1,000/s", rate: 1000, connections: 128 },
  { ...post1k, name: "POST 1 KB, 1,000/s", rate: 1000, connections: 128 },
  // 1,000 MB a second is more than the peers can move on the machines this is run on.
  { ...post1m, name: "POST 1 MB, 50/s", rate: 50, connections: 32 },
  { ...get, name: "GET, saturated", rate: null, connections: 64 },
  { ...post1k, name: "POST 1 KB, saturated", rate: null, connections: 64 },
  { ...post1m, name: "POST 1 MB, saturated", rate: null, connections: 16 },
  { ...get, name: "GET, saturated, 512 connections", rate: null, connections: 512 },
  { ...post1k, name: "POST 1 KB, saturated, 512 connections", rate: null, connections: 512 },
];

export interface Timing {
  readonly rounds: number;
  readonly warmupMs: number;
  readonly durationMs: number;
}

/** All rounds of one peer under one shape. */
export interface Cell {
  readonly shape: Shape;
  readonly peer: Peer;
  readonly latencies: Histogram;
  /** Good answers per second, one per round. */
  readonly throughputs: number[];
  /** Processor time of the peer per good answer, warm-up left in, one per round. */
  readonly cpuMicroseconds: number[];
  readonly errors: Record<string, number>;
}

function planFor(shape: Shape, peer: Peer, timing: Timing): LoadPlan {
  const request: LoadRequest = {
    method: shape.body === null ? "GET" : "POST",
    path: `${peer.prefix}${shape.path}`,
    headers: shape.body === null ? {} : { "content-type": "text/plain" },
    bodies: shape.body === null ? [] : [shape.body],
  };
  const { connections, rate } = shape;
  const { warmupMs, durationMs } = timing;
  const expect = { statuses: [200], bytes: SMALL_ANSWER.length };
  return { host: peer.host, port: peer.port, request, connections, rate, warmupMs, durationMs, expect };
}

function record(cell: Cell, result: LoadResult, cpuSeconds: number, timing: Timing): void {
  const seconds = result.durationMs / 1000;
  cell.throughputs.push(result.answers / seconds);
  cell.latencies.add(result.latencies);
  // The warm-up is part of the processor's time, so its answers are counted in at the measured rate.
  const answersWithWarmup = (result.answers / timing.durationMs) * (timing.durationMs + timing.warmupMs);
  cell.cpuMicroseconds.push((cpuSeconds * 1e6) / answersWithWarmup);
  for (const [kind, count] of Object.entries(result.errors)) cell.errors[kind] = (cell.errors[kind] ?? 0) + count;
}

export interface Rounds {
  readonly generator: LoadGenerator;
  readonly peers: readonly Peer[];
  readonly shapes: readonly Shape[];
  readonly timing: Timing;
  readonly onStep: (what: string) => void;
}

export async function runRounds({ generator, peers, shapes, timing, onStep }: Rounds): Promise<Cell[]> {
  const cells = shapes.flatMap((shape) =>
    peers.map((peer): Cell => {
      return { shape, peer, latencies: new Histogram(), throughputs: [], cpuMicroseconds: [], errors: {} };
    }),
  );
  for (let round = 0; round < timing.rounds; round++) {
    for (const shape of shapes) {
      const row = cells.filter((cell) => cell.shape === shape);
      // Each round begins with another peer.
      for (const cell of [...row.slice(round % row.length), ...row.slice(0, round % row.length)]) {
        onStep(`${cell.shape.name}: ${cell.peer.name}`);
        const before = readCpuSeconds(cell.peer.pid);
        const result = await generator.run(planFor(shape, cell.peer, timing));
        record(cell, result, readCpuSeconds(cell.peer.pid) - before, timing);
      }
    }
  }
  return cells;
}
