/** Brings a task's result to a file, whole or not at all, or to stdout. */
import { createHash } from "node:crypto";
import { constants, createWriteStream } from "node:fs";
import { access, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { TaskDetail } from "../core/contract/tasks.js";
import type { SluiceClient } from "./client.js";
import { CliError, EXIT } from "./exit.js";

const NEWLINE = 10;

/** Said before the work begins, not after hours of it. @throws CliError */
export async function assertWritable(path: string): Promise<void> {
  const target = resolve(path);
  try {
    const found = await stat(target).catch(() => null);
    if (found?.isDirectory() === true) throw new CliError(EXIT.usage, `${path} is a folder; name a file`);
    await access(dirname(target), constants.W_OK);
  } catch (caught) {
    if (caught instanceof CliError) throw caught;
    throw new CliError(EXIT.usage, `cannot write ${path}: ${(caught as NodeJS.ErrnoException).code}`, {
      cause: caught,
    });
  }
}

/**
 * Streams the result of a succeeded task and checks it against its hash.
 * @param output a file, or null for stdout
 * @throws CliError when it is damaged; nothing stands under the file's name then
 */
export async function fetchResult(client: SluiceClient, task: TaskDetail, output: string | null, signal: AbortSignal) {
  const answer = await client.call({ path: `/tasks/${encodeURIComponent(task.uuid)}?download=true`, signal });
  const hash = createHash("sha256");
  let lastByte = NEWLINE;
  const hashed = new Transform({
    transform(chunk: Buffer, _encoding, next) {
      lastByte = chunk.at(-1) ?? lastByte;
      hash.update(chunk);
      next(null, chunk);
    },
  });
  const verify = () => {
    if (task.result_sha256 === null || task.result_sha256 === undefined || hash.digest("hex") === task.result_sha256)
      return;
    throw new CliError(EXIT.failed, `the result of task ${task.uuid} arrived damaged`, { hint: "Fetch it again." });
  };
  if (output === null) {
    await pipeline(answer.body, hashed, process.stdout, { end: false }).catch(ignoreClosedPipe);
    if (process.stdout.isTTY && lastByte !== NEWLINE) process.stdout.write("\n");
    verify();
    return;
  }
  const target = resolve(output);
  const temporary = join(dirname(target), `.${basename(target)}.${process.pid}.part`);
  try {
    await pipeline(answer.body, hashed, createWriteStream(temporary, { flush: true }));
    verify();
    await rename(temporary, target);
  } catch (caught) {
    await rm(temporary, { force: true });
    throw explain(caught, { client, output, signal });
  }
}

function explain(caught: unknown, of: { client: SluiceClient; output: string; signal: AbortSignal }): unknown {
  if (caught instanceof CliError) return caught;
  if (of.signal.aborted) return new CliError(EXIT.interrupted, "stopped before the whole result had come");
  const { code, syscall } = caught as NodeJS.ErrnoException;
  const isFile = syscall === "open" || syscall === "write" || syscall === "rename" || syscall === "fsync";
  if (!isFile) return of.client.explain(caught);
  return new CliError(EXIT.failed, `cannot write ${of.output}: ${code}`, { cause: caught });
}

/** `sluice submit … | head` is not an error. */
export function ignoreClosedPipe(caught: unknown): void {
  if ((caught as NodeJS.ErrnoException).code !== "EPIPE") throw caught;
  process.exit(EXIT.ok);
}

/** @throws CliError with the reason when the task failed */
export function assertSucceeded(task: TaskDetail): void {
  if (task.status === "succeeded") return;
  const reason = task.reason === null || task.reason === undefined ? "" : ` (${task.reason})`;
  throw new CliError(EXIT.failed, `task ${task.uuid} failed${reason}: ${task.error_message ?? "no message"}`, {
    ...(task.request_id === undefined ? {} : { requestId: task.request_id }),
  });
}
