/**
 * Runs an import or export where the registry is: in the sidecar that has the data folder, by its socket, or in this process, which then
 * holds the folder for as long. Shows it, and ends with 1 when anything was left out.
 */
import { createInterface } from "node:readline";
import { socketPathOf } from "../config/load.js";
import { registryFilesOf } from "../config/registry-files.js";
import { SluiceError } from "../core/contract/errors.js";
import type { ExportRequest, ImportRequest, TransferEvent } from "../core/contract/registry-transfer.js";
import { createLogger } from "../core/runtime/logger.js";
import { openOperatorClient, type SluiceClient } from "./client.js";
import { answers, lockRegistry } from "./data-lock.js";
import { CliError, EXIT } from "./exit.js";
import { type GlobalFlags, loadConfiguration, loadOptionsOf } from "./global-flags.js";
import { onInterrupt } from "./interrupt.js";
import { TransferReport } from "./transfer-report.js";

export type Transfer =
  | { readonly kind: "import"; readonly request: ImportRequest }
  | { readonly kind: "export"; readonly request: ExportRequest };

export async function runTransfer(transfer: Transfer, flags: GlobalFlags & { json?: boolean }): Promise<void> {
  const { config } = loadConfiguration(flags);
  const signal = onInterrupt();
  const isLive = await answers(socketPathOf(config));
  const report = new TransferReport(transfer.kind, flags.json === true);
  try {
    const events = isLive ? eventsOfSidecar(transfer, flags, signal) : eventsHere(transfer, flags, signal);
    for await (const event of events) report.add(event);
  } catch (caught) {
    if (!signal.aborted) throw caught;
    report.stop();
    throw new CliError(EXIT.interrupted, `the ${transfer.kind} was stopped`, {
      hint: `What it has done is whole; ${againOf(transfer)} does the rest.`,
    });
  } finally {
    report.stop();
  }
  process.exitCode = report.end() ? EXIT.ok : EXIT.failed;
}

function againOf({ kind }: Transfer): string {
  return kind === "import" ? "running it again" : "running it again with --merge";
}

async function* eventsOfSidecar(
  { kind, request }: Transfer,
  flags: GlobalFlags,
  signal: AbortSignal,
): AsyncGenerator<TransferEvent> {
  const client = openOperatorClient(flags);
  try {
    // A big version says nothing while it becomes durable.
    const answer = await client.call({
      method: "POST",
      path: `/internal/registry/${kind}`,
      headers: { "content-type": "application/json" },
      body: Buffer.from(JSON.stringify(request)),
      silenceMs: 0,
      signal,
    });
    yield* linesOf(answer.body, client, signal);
  } finally {
    await client.close();
  }
}

/** The last one is `end` or `failed`: without it the sidecar is gone. */
async function* linesOf(
  body: NodeJS.ReadableStream,
  client: SluiceClient,
  signal: AbortSignal,
): AsyncGenerator<TransferEvent> {
  let last: TransferEvent | null = null;
  try {
    for await (const line of createInterface({ input: body })) {
      last = JSON.parse(line) as TransferEvent;
      if (last.event === "failed") break;
      yield last;
    }
  } catch (caught) {
    signal.throwIfAborted();
    throw client.explain(caught);
  }
  signal.throwIfAborted();
  if (last?.event === "failed") {
    throw new CliError(EXIT.failed, last.message, last.hint === null ? {} : { hint: last.hint });
  }
  if (last?.event !== "end")
    throw new CliError(EXIT.unreachable, "the sidecar ended before it was done", {
      hint: "Run it again: what is there already is skipped.",
    });
}

async function* eventsHere(transfer: Transfer, flags: GlobalFlags, signal: AbortSignal): AsyncGenerator<TransferEvent> {
  const { config } = loadConfiguration(flags);
  const { transferOffline } = await import("../sidecar/registry/offline.js");
  const files = registryFilesOf(config, loadOptionsOf(flags));
  const locks = await lockRegistry(config, files);
  try {
    // Standard output is for what was asked for.
    const logger = createLogger({ level: "silent", format: "json", process: "registry" });
    yield* inWords(transferOffline({ config, files, logger, transfer, signal }));
  } finally {
    for (const lock of locks) lock.release();
  }
}

/** Faults as the command tells them. */
async function* inWords(events: AsyncGenerator<TransferEvent>): AsyncGenerator<TransferEvent> {
  try {
    yield* events;
  } catch (caught) {
    if (!(caught instanceof SluiceError)) throw caught;
    const { hint } = caught;
    throw new CliError(EXIT.failed, caught.message, { cause: caught, ...(hint === undefined ? {} : { hint }) });
  }
}
