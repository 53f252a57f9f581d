/** Sluice's own image, built by a test's daemon from the Dockerfile and what the build has left. Nothing is pulled. */
import { spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type Docker from "dockerode";
import { NODE_IMAGE } from "./docker.js";

const root = fileURLToPath(new URL("../../..", import.meta.url));

/** What the `prebuilt` stage copies: the build's output and the packages that are not for development. */
function stageContext(folder: string): void {
  cpSync(join(root, "Dockerfile"), join(folder, "Dockerfile"));
  cpSync(join(root, "package.json"), join(folder, "package.json"));
  mkdirSync(join(folder, "config"));
  for (const file of readdirSync(join(root, "config")).filter((name) => /^sluice\.(yaml|schema\.json)$/.test(name))) {
    cpSync(join(root, "config", file), join(folder, "config", file));
  }
  cpSync(join(root, "dist"), join(folder, "dist"), {
    recursive: true,
    filter: (from) => !/\/dist\/(test|bench)(\/|$)/.test(from),
  });
  const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as {
    packages: Record<string, { dev?: boolean }>;
  };
  for (const [path, { dev }] of Object.entries(lock.packages)) {
    const isTop = path.lastIndexOf("node_modules/") === 0;
    if (!isTop || dev === true || !existsSync(join(root, path))) continue;
    cpSync(join(root, path), join(folder, path), { recursive: true, dereference: true });
  }
}

/** @param folder an empty one, for the build's context */
export async function buildImage(docker: Docker, folder: string, name: string): Promise<void> {
  stageContext(folder);
  const context = spawn("tar", ["-c", "-C", folder, "."], { stdio: ["ignore", "pipe", "inherit"] });
  const progress = await docker.buildImage(context.stdout, {
    t: name,
    target: "prebuilt",
    buildargs: { BASE_IMAGE: NODE_IMAGE },
    networkmode: "none",
  });
  await follow(docker, progress);
}

/** Waits for the end of a build, and throws what the daemon complains of. */
async function follow(docker: Docker, progress: NodeJS.ReadableStream): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    docker.modem.followProgress(progress, (error, output: { error?: string; stream?: string }[] | null) => {
      const fault = error ?? output?.find((each) => each.error !== undefined)?.error;
      if (fault === undefined || fault === null) return resolve();
      const said = (output ?? []).map((each) => each.stream ?? "").join("");
      reject(new Error(`${fault instanceof Error ? fault.message : fault}\n${said}`));
    });
  });
}
