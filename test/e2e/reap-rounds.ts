/** Rounds of stops with requests that arrive around the very moment: none may be lost, whichever way a stop goes. */
import { setTimeout as pause } from "node:timers/promises";
import { Random } from "../simulation/random.js";

export interface ReapRoundsOptions {
  readonly url: string;
  /** One that a request starts. */
  readonly model: string;
  readonly rounds: number;
  readonly seed: number;
  /** Requests per round. */
  readonly requests: number;
  /** They arrive within so long before and after the stop is asked for. */
  readonly spreadMs: number;
  readonly onRound?: (round: number) => void;
}

export interface ReapRounds {
  readonly answered: number;
  /** What was answered otherwise than with the annotations, in words. */
  readonly lost: readonly string[];
  /** Servers that were really stopped. */
  readonly stopped: number;
  /** Stops that were called off, because something held the server until their bound. */
  readonly calledOff: number;
}

const ANSWER_WITHIN_MS = 60_000;
const NOTE = "Seen on 3 March 2021 by Dr Khan, tel 020 7946 0958";

export async function runReapRounds(options: ReapRoundsOptions): Promise<ReapRounds> {
  const { rounds, requests, spreadMs, onRound } = options;
  const random = new Random(options.seed);
  const lost: string[] = [];
  let answered = 0;
  let stopped = 0;
  let calledOff = 0;
  await request(options, lost);
  for (let round = 1; round <= rounds; round++) {
    const delays = Array.from({ length: requests }, () => random.next() * 2 * spreadMs);
    const before = lost.length;
    const [stop] = await Promise.all([
      pause(spreadMs).then(() => askToStop(options)),
      ...delays.map((delayMs) => pause(delayMs).then(() => request(options, lost))),
    ]);
    answered += requests - (lost.length - before);
    if (stop === "stopped") stopped += 1;
    else calledOff += 1;
    onRound?.(round);
  }
  return { answered, lost, stopped, calledOff };
}

async function request({ url, model }: ReapRoundsOptions, lost: string[]): Promise<void> {
  try {
    const answer = await fetch(`${url}/models/${model}/process`, {
      method: "POST",
      headers: { "content-type": "text/plain" },
      body: NOTE,
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
    });
    const text = await answer.text();
    if (answer.status !== 200 || !text.includes("annotations")) lost.push(`${answer.status}: ${text.slice(0, 300)}`);
  } catch (caught) {
    lost.push(String((caught as Error).cause ?? caught));
  }
}

async function askToStop({ url, model }: ReapRoundsOptions): Promise<"stopped" | "called off"> {
  const answer = await fetch(`${url}/admin/models/${model}/stop`, {
    method: "POST",
    signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
  });
  const text = await answer.text();
  if (answer.status === 200) return "stopped";
  if (answer.status === 409) return "called off";
  throw new Error(`stop answered ${answer.status}: ${text}`);
}
