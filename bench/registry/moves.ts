/** Versions up and down: the registry and the server that stores nothing take turns, shape by shape, round by round. */
import { rmSync } from "node:fs";
import { copyAndSync, makeSource } from "./copy.js";
import type { Shape } from "./messages.js";
import type { ClientProcess, ServerProcess } from "./peers.js";

export interface Size {
  readonly name: string;
  readonly bytes: number;
  readonly rounds: number;
  /** How often, one at a time; and how often each of eight. */
  readonly times: readonly [number, number];
  /** Where eight of them take minutes: what the bare stream moves instead, whose rate does not depend on it. */
  readonly bareBytes?: number;
}

export const SIZES: readonly Size[] = [
  { name: "1k", bytes: 1024, rounds: 3, times: [100, 25] },
  { name: "1m", bytes: 2 ** 20, rounds: 3, times: [40, 10] },
  { name: "256m", bytes: 256 * 2 ** 20, rounds: 2, times: [1, 1] },
  { name: "2g", bytes: 2 ** 31, rounds: 1, times: [1, 1], bareBytes: 256 * 2 ** 20 },
];
const AT_A_TIME = [1, 8] as const;

export interface Move {
  readonly size: string;
  readonly direction: "upload" | "download";
  readonly atATime: number;
  readonly peer: "registry" | "bare" | "cp + sync";
  /** One of each per round. */
  readonly bytesPerSecond: number[];
  readonly timesMs: number[];
  readonly growthMib: number[];
  readonly pausesMs: number[];
  /** Of the server, for each GiB. */
  readonly cpuSecondsPerGib: number[];
}

export interface MoveRig {
  readonly client: ClientProcess;
  readonly registry: ServerProcess;
  readonly bare: ServerProcess;
  readonly folder: string;
  readonly onStep: (what: string) => void;
}

export async function measureSize(rig: MoveRig, { name, bytes, rounds, times, bareBytes }: Size): Promise<Move[]> {
  const moves: Move[] = [];
  const source = await makeSource(rig.folder, bytes);
  for (const [index, atATime] of AT_A_TIME.entries()) {
    const shape: Shape = { bytes, atATime, times: times[index]! };
    const shapes = { registry: shape, bare: { ...shape, bytes: atATime === 1 ? bytes : (bareBytes ?? bytes) } };
    const cell = (direction: Move["direction"], peer: Move["peer"]): Move => {
      const move = {
        size: name,
        direction,
        atATime,
        peer,
        bytesPerSecond: [],
        timesMs: [],
        growthMib: [],
        pausesMs: [],
        cpuSecondsPerGib: [],
      };
      moves.push(move);
      return move;
    };
    const cells = {
      up: { registry: cell("upload", "registry"), bare: cell("upload", "bare"), copy: cell("upload", "cp + sync") },
      down: { registry: cell("download", "registry"), bare: cell("download", "bare") },
    };
    for (let round = 0; round < rounds; round++) {
      rig.onStep(`${name}, ${atATime} at a time, round ${round + 1} of ${rounds}`);
      // Each round begins with another one.
      const order = round % 2 === 0 ? (["registry", "bare"] as const) : (["bare", "registry"] as const);
      for (const peer of order) await measureMove(rig, cells.up[peer], shapes[peer]);
      cells.up.copy.bytesPerSecond.push(
        (bytes * atATime * shape.times) / (await copyAndSync(source, rig.folder, shape)),
      );
      for (const peer of order) await measureMove(rig, cells.down[peer], shapes[peer]);
      for (const peer of order) await rig.client.obey({ type: "forget", port: rig[peer].port });
    }
  }
  rmSync(source);
  return moves;
}

async function measureMove(rig: MoveRig, move: Move, shape: Shape): Promise<void> {
  const server = rig[move.peer as "registry" | "bare"];
  const result = await server.strained(() => rig.client.obey({ type: move.direction, port: server.port, shape }));
  move.bytesPerSecond.push(result.count / result.seconds);
  move.timesMs.push(...result.timesMs);
  move.growthMib.push(result.growthMib);
  move.pausesMs.push(result.pauseMs);
  move.cpuSecondsPerGib.push(result.cpuSeconds / (result.count / 2 ** 30));
}
