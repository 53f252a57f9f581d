/** The processes of bench/registry: a server that stores or one that does not, and the client of both. */
import type { ChildProcess } from "node:child_process";
import { forkBench, nextMessage, stopChild } from "../peers/child.js";
import { readPeakMib, readRssMib, resetPeak } from "../peers/procfs.js";
import type { ClientOrder, ClientResult, Committed, ServerOrder, ServerReady, ServerState } from "./messages.js";

const START_MS = 30_000;
/** Eight times 2 GiB on a machine that others use too. */
const ORDER_MS = 600_000;

export interface Strain {
  /** Of the resident memory's peak over what was resident before, in MiB. */
  readonly growthMib: number;
  /** The event loop's longest pause of its own. */
  readonly pauseMs: number;
  /** Processor time, all threads together. */
  readonly cpuSeconds: number;
}

export class ServerProcess {
  readonly name: string;
  readonly port: number;
  /** When versions that are watched were committed. */
  readonly commitsMs: number[] = [];
  readonly #child: ChildProcess;
  #answer: (state: ServerState) => void = () => {};

  private constructor(name: string, child: ChildProcess, port: number) {
    this.name = name;
    this.port = port;
    this.#child = child;
    child.on("message", (message: ServerState | Committed) => {
      if ("committedAtMs" in message) this.commitsMs.push(message.committedAtMs);
      else this.#answer(message);
    });
  }

  static async start(name: string, program: string, args: readonly string[] = []): Promise<ServerProcess> {
    const child = forkBench(`registry/${program}`, args);
    const { port } = await nextMessage<ServerReady>(child, START_MS);
    return new ServerProcess(name, child, port);
  }

  /** Does the work and says what it cost the server. */
  async strained<Value>(work: () => Promise<Value>): Promise<Value & Strain> {
    const pid = this.#child.pid!;
    const before = await this.#order("begin");
    resetPeak(pid);
    const beforeMib = readRssMib(pid);
    const value = await work();
    const { pauseMs, cpuSeconds } = await this.#order("end");
    return { ...value, growthMib: readPeakMib(pid) - beforeMib, pauseMs, cpuSeconds: cpuSeconds - before.cpuSeconds };
  }

  stop(): Promise<void> {
    return stopChild(this.#child);
  }

  #order(type: ServerOrder["type"]): Promise<ServerState> {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`no word from ${this.name} in ${START_MS} ms`)), START_MS);
      const gone = (code: number | null) => reject(new Error(`${this.name} ended with ${code}`));
      this.#child.once("exit", gone);
      this.#answer = (state) => {
        clearTimeout(late);
        this.#child.off("exit", gone);
        resolve(state);
      };
      this.#child.send({ type } satisfies ServerOrder);
    });
  }
}

export class ClientProcess {
  readonly #child = forkBench("registry/client.js");

  /** @throws Error where the order failed */
  async obey(order: ClientOrder): Promise<ClientResult> {
    const result = nextMessage<ClientResult>(this.#child, ORDER_MS);
    this.#child.send(order);
    const { fault, ...rest } = await result;
    if (fault !== null) throw new Error(`${order.type}: ${fault}`);
    return { ...rest, fault };
  }

  stop(): Promise<void> {
    return stopChild(this.#child);
  }
}
