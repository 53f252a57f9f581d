/** What every benchmark shares around its measurements: where it ran, how far it is, where its numbers go. */
import { writeFileSync } from "node:fs";
import { cpus, release, totalmem, type } from "node:os";
import { SingleBar } from "cli-progress";

export interface Machine {
  readonly date: string;
  readonly system: string;
  readonly node: string;
  readonly cpu: string;
  readonly memoryGib: number;
}

export function describeMachine(): Machine {
  const list = cpus();
  return {
    date: new Date().toISOString(),
    system: `${type()} ${release()}`,
    node: process.version,
    cpu: `${list.length} × ${list[0]?.model.trim() ?? "unknown"}`,
    memoryGib: Math.round(totalmem() / 2 ** 30),
  };
}

export const formatMachine = (machine: Machine) =>
  `${machine.date.slice(0, 10)}, ${machine.cpu}, ${machine.memoryGib} GiB, ${machine.system}, Node ${machine.node}`;

/** On stderr: a bar on a terminal, a line per step elsewhere. */
export class Progress {
  readonly #bar = new SingleBar({ format: "{bar} {value}/{total} {what}", clearOnComplete: true, noTTYOutput: false });

  constructor(total: number) {
    this.#bar.start(total, 0, { what: "" });
  }

  step(what: string): void {
    if (process.stderr.isTTY) this.#bar.increment(1, { what });
    else process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${what}\n`);
  }

  stop(): void {
    this.#bar.stop();
  }
}

/** Prints a section, as Markdown. */
export function printSection(title: string, ...parts: readonly string[]): void {
  process.stdout.write(`\n## ${title}\n\n${parts.join("\n\n")}\n`);
}

/** One line per target: what was asked, what came, whether it is met. */
export function formatTarget(what: string, measured: string, isMet: boolean): string {
  return `- ${isMet ? "met" : "NOT MET"}: ${what}: ${measured}`;
}

export function writeJson(path: string, results: unknown): void {
  writeFileSync(path, `${JSON.stringify({ machine: describeMachine(), results }, null, 2)}\n`);
}
