/**
 * The Docker daemon. The only importer of dockerode.
 *
 * Every call has a bound and throws a {@link DockerFault}. The library forgets a call whose connection ends in the middle of the
 * answer, so no call waits for the library alone.
 */
import { access } from "node:fs/promises";
import { Readable } from "node:stream";
import type Docker from "dockerode";
import type { Clock } from "../../core/runtime/clock.js";
import { within } from "../../core/runtime/within.js";
import type { ContainerRow } from "./discovery/containers.js";
import { cleanWords, DockerFault, faultOf } from "./docker-fault.js";
import { readLines, unpackFrames } from "./docker-lines.js";
import type { ContainerSpec } from "./drivers/container-spec.js";

/** Bound on an answer that costs the daemon nothing. */
const ANSWER_TIMEOUT_MS = 10_000;
/** Bound on what makes it work: creating, starting and removing. */
const WORK_TIMEOUT_MS = 60_000;

/** The part of `docker inspect` that counts here. */
export interface ContainerDetails {
  readonly Id: string;
  /** ISO 8601. */
  readonly Created: string;
  readonly State: {
    readonly Status: string;
    /** Also while it is paused. */
    readonly Running: boolean;
    readonly Paused: boolean;
    readonly OOMKilled: boolean;
    readonly ExitCode: number;
    readonly StartedAt: string;
  };
  readonly Config: { readonly Image: string; readonly Labels: Readonly<Record<string, string>> };
  readonly HostConfig: { readonly Memory: number };
  /** `Source` on the daemon's host, that of a volume included. */
  readonly Mounts?: readonly { readonly Source: string; readonly Destination: string }[];
  readonly NetworkSettings: {
    readonly Networks: Readonly<Record<string, { readonly IPAddress: string } | undefined>>;
  };
}

export interface DockerEvent {
  readonly Type?: string;
  readonly Action?: string;
  readonly Actor?: { readonly ID?: string; readonly Attributes?: Readonly<Record<string, string>> };
}

export interface DockerClientOptions {
  readonly socketPath: string;
  readonly clock: Pick<Clock, "after">;
}

/** The library takes query and body apart from each other under these names; its types do not know it. */
type Call = { readonly abortSignal: AbortSignal; readonly _query?: object; readonly _body?: object };

export class DockerClient {
  readonly #options: DockerClientOptions;
  readonly #calls = new Set<AbortController>();
  readonly #streams = new Set<Readable>();
  #isClosed = false;
  #docker: Docker | null = null;

  constructor(options: DockerClientOptions) {
    this.#options = options;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Ends every call and stream; later ones are refused at once. */
  close(): void {
    this.#isClosed = true;
    for (const call of this.#calls) call.abort(new DockerFault("away", "Sluice is stopping"));
    for (const stream of this.#streams) stream.destroy();
  }

  /** Resolves when the daemon answers. */
  async ping(limitMs: number): Promise<void> {
    await this.#ask(limitMs, async (docker, abortSignal) => docker.ping({ abortSignal } as never));
  }

  /** All containers with these labels (`name` or `name=value`), in any state. */
  list(label: readonly string[]): Promise<ContainerRow[]> {
    return this.#ask(ANSWER_TIMEOUT_MS, (docker, abortSignal) =>
      docker.listContainers({ all: true, filters: { label: [...label] }, abortSignal }),
    );
  }

  /** What happens to containers and networks from now on, a line of JSON each. */
  async events(): Promise<Readable> {
    const filters = { type: ["container" as const, "network" as const] };
    return this.#open((docker, abortSignal) => docker.getEvents({ filters, abortSignal }));
  }

  /** What happened to one container between two times (epoch ms), as far as the daemon still knows it. */
  async pastEvents(id: string, sinceMs: number, untilMs: number): Promise<DockerEvent[]> {
    // A time to come would be waited for.
    const [since, until] = [sinceMs, untilMs].map((ms) => (ms / 1_000).toFixed(3));
    const query = { since, until, filters: { container: [id] } } as object;
    const stream = await this.#open((docker, abortSignal) => docker.getEvents({ ...query, abortSignal }));
    return this.#bounded(ANSWER_TIMEOUT_MS, undefined, async () => {
      const events: DockerEvent[] = [];
      for await (const line of readLines(stream)) if (line.trim() !== "") events.push(JSON.parse(line) as DockerEvent);
      return events;
    }).finally(() => stream.destroy());
  }

  /** @returns its id @throws DockerFault `absent` without the image, `conflict` where the name is taken */
  async create(name: string, spec: ContainerSpec): Promise<string> {
    const container = await this.#ask<Docker.Container>(WORK_TIMEOUT_MS, (docker, abortSignal) =>
      docker.createContainer({ _query: { name }, _body: spec, abortSignal } as Call as Docker.ContainerCreateOptions),
    );
    return container.id;
  }

  async start(id: string): Promise<void> {
    await this.#ask(WORK_TIMEOUT_MS, (docker, abortSignal) => docker.getContainer(id).start(plain(abortSignal)));
  }

  /** Null when there is none of that id or name. */
  async inspect(idOrName: string, signal?: AbortSignal): Promise<ContainerDetails | null> {
    const details = this.#ask<ContainerDetails>(
      ANSWER_TIMEOUT_MS,
      (docker, abortSignal) => docker.getContainer(idOrName).inspect({ abortSignal }),
      signal,
    );
    return details.catch((cause: DockerFault) => {
      if (cause.kind === "absent") return null;
      throw cause;
    });
  }

  /** Resolves when it has ended, or after `limitMs`. */
  async waitForEnd(id: string, limitMs: number, signal: AbortSignal): Promise<void> {
    const ended = this.#ask(limitMs, (docker, abortSignal) => docker.getContainer(id).wait(plain(abortSignal)), signal);
    await ended.catch((cause: DockerFault) => {
      if (cause.code !== "TIMEOUT") throw cause;
    });
  }

  async unpause(id: string): Promise<void> {
    await this.#ask(WORK_TIMEOUT_MS, (docker, abortSignal) => docker.getContainer(id).unpause(plain(abortSignal)));
  }

  /** Asks its program to end, and kills it after the grace. */
  async stop(id: string, graceSeconds: number): Promise<void> {
    const limitMs = graceSeconds * 1_000 + WORK_TIMEOUT_MS;
    await this.#ask(limitMs, (docker, abortSignal) =>
      docker.getContainer(id).stop({ ...plain(abortSignal), _query: { t: graceSeconds } } as Call),
    );
  }

  /** With its unnamed volumes, running or not. */
  async remove(id: string): Promise<void> {
    await this.#ask(WORK_TIMEOUT_MS, (docker, abortSignal) =>
      docker.getContainer(id).remove({ ...plain(abortSignal), _query: { force: true, v: true } } as Call),
    );
  }

  async connect(network: string, id: string): Promise<void> {
    await this.#ask(WORK_TIMEOUT_MS, (docker, abortSignal) =>
      docker.getNetwork(network).connect({ ...plain(abortSignal), _body: { Container: id } } as object),
    );
  }

  /** Resolves when the image is there. @throws DockerFault `refused` with the registry's words */
  async pull(image: string, limitMs: number, signal: AbortSignal): Promise<void> {
    await this.#bounded(limitMs, signal, async (abortSignal) => {
      const docker = await this.#daemon();
      const stream = (await docker.pull(image, { abortSignal })) as Readable;
      abortSignal.addEventListener("abort", () => stream.destroy(), { once: true });
      for await (const line of readLines(stream)) {
        const { error } = (line.trim() === "" ? {} : JSON.parse(line)) as { error?: string };
        if (error !== undefined) throw new DockerFault("refused", cleanWords(error));
      }
    });
  }

  /** What it wrote to stdout and stderr: the last lines and, when followed, what comes until it ends or the signal aborts. */
  async logs(id: string, tail: number, follow: boolean, signal: AbortSignal): Promise<Readable> {
    const packed = await this.#open((docker, abortSignal) => {
      const _query = { stdout: true, stderr: true, tail, follow };
      return new Promise((resolve, reject) => {
        docker.modem.dial(
          {
            path: `/containers/${encodeURIComponent(id)}/logs?`,
            method: "GET",
            options: { _query },
            isStream: true,
            abortSignal,
            statusCodes: { 200: true, 404: "no such container", 500: "server error" },
          },
          (cause: unknown, stream: unknown) => (cause === null ? resolve(stream) : reject(cause)),
        );
      });
    });
    const end = () => packed.destroy();
    if (signal.aborted) end();
    signal.addEventListener("abort", end, { once: true });
    packed.once("close", () => signal.removeEventListener("abort", end));
    return Readable.from(unpackFrames(packed), { objectMode: false });
  }

  /** The library costs a fifth of a second of processor time to load: whoever has no daemon does not pay it. */
  async #daemon(): Promise<Docker> {
    if (this.#docker !== null) return this.#docker;
    const { socketPath } = this.#options;
    await access(socketPath);
    const { default: Dockerode } = await import("dockerode");
    // `host: undefined` keeps a DOCKER_HOST of the environment from winning over the configured socket.
    this.#docker = new Dockerode({ socketPath, host: undefined } as Docker.DockerOptions);
    return this.#docker;
  }

  #ask<T>(
    limitMs: number,
    action: (docker: Docker, signal: AbortSignal) => Promise<unknown>,
    signal?: AbortSignal,
  ): Promise<T> {
    return this.#bounded(limitMs, signal, async (inner) => (await action(await this.#daemon(), inner)) as T);
  }

  /** A stream that lives on after the call; it dies with this client. */
  async #open(action: (docker: Docker, signal: AbortSignal) => Promise<unknown>): Promise<Readable> {
    const stream = await this.#ask<Readable>(ANSWER_TIMEOUT_MS, action);
    stream.on("error", () => undefined);
    this.#streams.add(stream);
    stream.once("close", () => this.#streams.delete(stream));
    if (this.#isClosed) stream.destroy();
    return stream;
  }

  async #bounded<T>(
    limitMs: number,
    signal: AbortSignal | undefined,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    if (this.#isClosed) throw new DockerFault("away", "Sluice is stopping");
    const call = new AbortController();
    this.#calls.add(call);
    try {
      return await within(this.#options.clock, limitMs, signal, (bound) => {
        bound.addEventListener("abort", () => call.abort(bound.reason), { once: true });
        return orAborted(call.signal, work(call.signal));
      });
    } catch (cause) {
      throw faultOf(cause);
    } finally {
      this.#calls.delete(call);
    }
  }
}

function orAborted<T>(signal: AbortSignal, answer: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    answer.then(resolve, reject);
  });
}

function plain(abortSignal: AbortSignal): Call {
  return { abortSignal, _query: {}, _body: {} };
}
