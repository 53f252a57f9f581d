/**
 * A Docker daemon of the test's own, with an image made from this machine's `node`. Nothing is pulled, and the machine's own daemon,
 * if there is one, is left alone.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { createWriteStream, existsSync } from "node:fs";
import { cp, mkdir, mkdtemp, readFile, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import Docker from "dockerode";
import type { Test } from "tap";
import { requireOrSkip } from "./services.js";

const run = promisify(execFile);

/** Holds `/usr/bin/node` and the libraries it needs, nothing else. */
export const NODE_IMAGE = "sluice-test-node:latest";

export interface ContainerSpec {
  readonly name: string;
  /** Arguments of `node` in the container. */
  readonly args: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly network?: string;
  readonly env?: readonly string[];
  /** `host path:container path[:ro]` */
  readonly binds?: readonly string[];
  /** What a stop begins with; default Docker's SIGTERM, which a first process without a handler for it ignores. */
  readonly stopSignal?: string;
}

export interface TestDocker {
  readonly socket: string;
  readonly client: Docker;
  /** Makes a bridge network with addresses of its own. */
  createNetwork(name: string): Promise<void>;
  /** Starts a container of {@link NODE_IMAGE}. */
  run(spec: ContainerSpec): Promise<Docker.Container>;
  /** Kills the daemon as a crash would; containers may live on for a while. */
  kill(): Promise<void>;
  /** Starts the daemon again on the same data. */
  start(): Promise<void>;
  /** Removes containers, networks, daemon and data. */
  stop(): Promise<void>;
}

/** Why no daemon can be had here, or null. */
export async function dockerSkipReason(): Promise<string | null> {
  if (process.platform !== "linux") return "dockerd runs on Linux only";
  if (process.getuid?.() !== 0) return "dockerd must be started by root";
  for (const program of ["dockerd", "containerd", "ldd", "tar"]) {
    try {
      await run("which", [program]);
    } catch {
      return `${program} is not installed`;
    }
  }
  return null;
}

const START_ATTEMPTS = 3;

let shared: Promise<TestDocker> | undefined;

/** One daemon for the whole test process; whoever asks first starts it. `stop` it in the file's last teardown. */
export function startDocker(): Promise<TestDocker> {
  shared ??= OwnDocker.create();
  return shared;
}

/** Images are big, and temporary files may be in memory. */
const DISK = process.env.SLUICE_TEST_DISK ?? tmpdir();

/** The daemon for a whole test file, with a network; ended with the file. Null, and the tests are left out, where none can be had. */
export async function startDockerFor(t: Test, network: string): Promise<TestDocker | null> {
  if (!requireOrSkip(t, "docker", await dockerSkipReason())) return null;
  const docker = await startDocker();
  // Waiting for a daemon alone keeps no process alive.
  const alive = setInterval(() => {}, 1_000);
  t.teardown(async () => {
    clearInterval(alive);
    await docker.stop();
  });
  await docker.createNetwork(network);
  return docker;
}

class OwnDocker implements TestDocker {
  readonly socket: string;
  readonly client: Docker;
  readonly #folder: string;
  readonly #networks: string[] = [];
  #daemon: ChildProcess | null = null;

  private constructor(folder: string) {
    this.#folder = folder;
    this.socket = join(folder, "docker.sock");
    this.client = new Docker({ socketPath: this.socket, host: undefined } as Docker.DockerOptions);
  }

  static async create(): Promise<TestDocker> {
    const docker = new OwnDocker(await mkdtemp(join(DISK, "sluice-docker-")));
    try {
      await docker.start();
      await docker.#importImage();
      return docker;
    } catch (cause) {
      await docker.stop();
      throw cause;
    }
  }

  /** One that was killed leaves shims and mounts behind, over which the next one may fall once. */
  async start(): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#launch();
      } catch (cause) {
        if (attempt === START_ATTEMPTS) throw cause;
        await this.#end("SIGKILL");
        await this.#endContainerd();
      }
    }
  }

  async #launch(): Promise<void> {
    const at = (name: string) => join(this.#folder, name);
    const log = createWriteStream(at("dockerd.log"), { flags: "a" });
    await new Promise((resolve) => log.once("open", resolve));
    // A daemon that was killed leaves its pid file, and may leave a containerd that the next one takes over.
    await rm(at("docker.pid"), { force: true });
    const daemon = spawn(
      "dockerd",
      [
        ...["--data-root", at("data"), "--exec-root", at("exec"), "--pidfile", at("docker.pid")],
        ...["-H", `unix://${this.socket}`, "--bridge=none", "--storage-driver", "overlay2"],
      ],
      { stdio: ["ignore", log, log] },
    );
    this.#daemon = daemon;
    // A test that is cut off leaves no daemon; it ends what it runs by itself.
    const endWithUs = () => daemon.kill("SIGTERM");
    process.once("exit", endWithUs);
    daemon.once("exit", () => process.removeListener("exit", endWithUs));
    const until = Date.now() + 60_000;
    for (;;) {
      const answers = await this.client.ping().then(
        () => true,
        () => false,
      );
      if (answers) return;
      if (daemon.exitCode !== null || Date.now() > until)
        throw new Error(`dockerd did not start:\n${await this.#lastLines()}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** A daemon that was killed once leaves mounts that the next one does not know of. */
  async #unmount(): Promise<void> {
    const mounts = (await readFile("/proc/self/mountinfo", "utf8")).split("\n").map((line) => line.split(" ")[4] ?? "");
    for (const path of mounts.filter((each) => each.startsWith(`${this.#folder}/`)).reverse()) {
      await run("umount", ["--lazy", path]).catch(() => undefined);
    }
  }

  async #lastLines(): Promise<string> {
    const text = await readFile(join(this.#folder, "dockerd.log"), "utf8").catch(() => "");
    return text.split("\n").slice(-15).join("\n");
  }

  async #importImage(): Promise<void> {
    const root = join(this.#folder, "root");
    const node = await realpath(process.execPath);
    const { stdout } = await run("ldd", [node]);
    const libraries = [...stdout.matchAll(/(\/\S+) \(0x/g)].map(([, path]) => path!);
    await copy(node, join(root, "usr/bin/node"));
    for (const path of libraries) await copy(await realpath(path), join(root, path));
    await mkdir(join(root, "tmp"), { mode: 0o1777 });
    const tar = spawn("tar", ["-C", root, "-c", "."], { stdio: ["ignore", "pipe", "inherit"] });
    const [repo, tag] = NODE_IMAGE.split(":");
    const progress = await this.client.importImage(
      tar.stdout as unknown as string,
      {
        repo,
        tag,
        changes: 'ENTRYPOINT ["/usr/bin/node"]',
      } as object,
    );
    await new Promise<void>((resolve, reject) => {
      this.client.modem.followProgress(progress, (cause) => (cause === null ? resolve() : reject(cause)));
    });
    await rm(root, { recursive: true });
  }

  async createNetwork(name: string): Promise<void> {
    const network = await this.client.createNetwork({ Name: name, Driver: "bridge" });
    this.#networks.push(network.id);
  }

  async run(spec: ContainerSpec): Promise<Docker.Container> {
    const container = await this.client.createContainer({
      name: spec.name,
      Image: NODE_IMAGE,
      Entrypoint: ["/usr/bin/node"],
      Cmd: [...spec.args],
      Env: [...(spec.env ?? [])],
      Labels: { ...spec.labels },
      ...(spec.stopSignal === undefined ? {} : { StopSignal: spec.stopSignal }),
      HostConfig: {
        NetworkMode: spec.network ?? "none",
        Binds: [...(spec.binds ?? [])],
        Init: false,
      },
    });
    await container.start();
    return container;
  }

  async kill(): Promise<void> {
    await this.#end("SIGKILL");
    await this.#endContainerd();
  }

  /** It dies with its daemon; where nobody collects it, the next daemon would take its number for a living one's and wait. */
  async #endContainerd(): Promise<void> {
    const path = join(this.#folder, "exec/containerd/containerd.pid");
    const pid = Number(await readFile(path, "utf8").catch(() => "0"));
    const until = Date.now() + 10_000;
    while (pid > 0 && (await isAlive(pid)) && Date.now() < until)
      await new Promise((resolve) => setTimeout(resolve, 20));
    await rm(path, { force: true });
  }

  async #end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    const daemon = this.#daemon;
    this.#daemon = null;
    if (daemon === null || daemon.exitCode !== null || daemon.signalCode !== null) return;
    const ended = new Promise((resolve) => daemon.once("exit", resolve));
    daemon.kill(signal);
    // A daemon that hangs while it stops must not hang the test.
    const backstop = setTimeout(() => daemon.kill("SIGKILL"), 20_000);
    await ended;
    clearTimeout(backstop);
  }

  async stop(): Promise<void> {
    if (this.#daemon === null && existsSync(join(this.#folder, "data"))) await this.start().catch(() => undefined);
    const containers = await this.client.listContainers({ all: true }).catch(() => []);
    for (const { Id } of containers)
      await this.client
        .getContainer(Id)
        .remove({ force: true })
        .catch(() => undefined);
    for (const id of this.#networks)
      await this.client
        .getNetwork(id)
        .remove()
        .catch(() => undefined);
    await this.#end("SIGTERM");
    await this.#unmount();
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}

async function copy(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  await cp(from, to);
}

async function isAlive(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, "latin1").catch(() => "");
  return stat !== "" && !stat.slice(stat.lastIndexOf(")") + 2).startsWith("Z");
}
