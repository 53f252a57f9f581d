/** A base image without a registry: this machine's own node and the libraries it names, nothing else, not even a shell. */
import { execFileSync, spawn } from "node:child_process";
import { cpSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Readable } from "node:stream";
import type Docker from "dockerode";

/** A folder as a tar stream. */
export function packFolder(folder: string): Readable {
  return spawn("tar", ["-c", "-C", folder, "."], { stdio: ["ignore", "pipe", "inherit"] }).stdout;
}

function listLibraries(program: string): string[] {
  const listed = execFileSync("ldd", [program], { encoding: "utf8" });
  return [...listed.matchAll(/(?:=> )?(\/\S+) \(0x/g)].map((match) => match[1] ?? "");
}

/** @param folder an empty one for the image's files */
export async function importBaseImage(docker: Docker, name: string, folder: string): Promise<void> {
  const place = (from: string, to: string) => {
    mkdirSync(dirname(join(folder, to)), { recursive: true });
    cpSync(from, join(folder, to), { dereference: true });
  };
  place(process.execPath, "/usr/local/bin/node");
  for (const library of listLibraries(process.execPath)) place(library, library);
  mkdirSync(join(folder, "tmp"), { mode: 0o1777 });
  const [repo, tag] = name.split(":");
  const progress = await docker.importImage(packFolder(folder), { repo, tag });
  await follow(docker, progress);
}

/** Waits for the end of what the daemon does, and throws what it complains of. */
export async function follow(docker: Docker, progress: NodeJS.ReadableStream): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    docker.modem.followProgress(progress, (error, output: { error?: string; stream?: string }[] | null) => {
      const fault = error ?? output?.find((each) => each.error !== undefined)?.error;
      if (fault === undefined || fault === null) return resolve();
      const said = (output ?? []).map((each) => each.stream ?? "").join("");
      reject(new Error(`${fault instanceof Error ? fault.message : fault}\n${said}`));
    });
  });
}
