/**
 * The only writer of the database, in a thread of its own, so that no fsync ever holds up the main event loop.
 *
 * Everything that is queued when it looks (at most {@link MAX_BATCH}) becomes one transaction: each call in its own savepoint, one
 * commit, then all answers at once. While one commit waits for the disk the next batch gathers by itself.
 */
import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { asSluiceError, isDiskFull, SluiceError } from "../../core/contract/errors.js";
import { armFailpoints, failpoint, followArming } from "../../core/runtime/failpoints.js";
import { type Database, openForWriting, type Statement } from "./open.js";
import type { PrepareWrites, Write, WriteCall, WriteFault, WriteReply, WriterSetup } from "./writer-messages.js";

const MAX_BATCH = 512;

interface Connection {
  readonly db: Database;
  readonly writes: Record<string, Write>;
  /** Prepared once: parsing them for every call costs as much as an insert. */
  readonly savepoint: Statement;
  readonly release: Statement;
}

const setup = workerData as WriterSetup;
const port = parentPort!;
armFailpoints(setup.failpoints);
followArming();
const modules = await Promise.all(
  setup.modules.map(async (url) => ((await import(url)) as { prepareWrites: PrepareWrites }).prepareWrites),
);
let connection: Connection | null = connect();

port.on("message", (first: WriteCall | "close") => {
  const calls: WriteCall[] = [];
  for (let message = first; ; ) {
    if (message === "close") {
      if (calls.length > 0) answer(calls);
      connection?.db.close();
      port.close();
      return;
    }
    calls.push(message);
    if (calls.length === MAX_BATCH) break;
    const next = receiveMessageOnPort(port) as { message: WriteCall | "close" } | undefined;
    if (next === undefined) break;
    message = next.message;
  }
  answer(calls);
});
port.postMessage("ready");

function connect(): Connection {
  const db = openForWriting(setup.file, "db.write");
  return {
    db,
    writes: Object.assign({}, ...modules.map((prepare) => prepare(db))),
    savepoint: db.prepare("SAVEPOINT call"),
    release: db.prepare("RELEASE call"),
  };
}

function answer(calls: readonly WriteCall[]): void {
  const replies = runBatch(calls);
  failpoint("writer.before_answer");
  port.postMessage(replies);
}

function runBatch(calls: readonly WriteCall[]): WriteReply[] {
  try {
    connection ??= connect();
    const open = connection;
    const { db } = open;
    db.exec("BEGIN IMMEDIATE");
    const replies = calls.map((call) => runCall(open, call));
    failpoint("writer.before_commit");
    db.exec("COMMIT");
    failpoint("writer.after_commit");
    return replies;
  } catch (caught) {
    // Nothing of this batch is durable. A fresh connection next time leaves nothing of the fault behind.
    const fault = describe(asStoreError(caught));
    abandon();
    return calls.map(({ id }) => ({ id, fault }));
  }
}

function runCall({ db, writes, savepoint, release }: Connection, call: WriteCall): WriteReply {
  savepoint.run();
  try {
    const value = writes[call.write]!(...call.args);
    release.run();
    return { id: call.id, value };
  } catch (caught) {
    // A full disk or an I/O error can end the whole transaction, not just this call.
    if (!db.inTransaction) throw caught;
    db.exec("ROLLBACK TO call; RELEASE call");
    return { id: call.id, fault: describe(asStoreError(caught)) };
  }
}

function abandon(): void {
  try {
    connection?.db.close();
  } catch {
    // The file is as the last good commit left it; the connection is given up either way.
  }
  connection = null;
}

function asStoreError(caught: unknown): SluiceError {
  if (caught instanceof SluiceError || isDiskFull(caught)) return asSluiceError(caught);
  return new SluiceError("STORE_FAILED", "the database could not be written", { cause: caught, retryAfterMs: 5_000 });
}

function describe(error: SluiceError): WriteFault {
  const cause = error.cause as { code?: unknown; message?: unknown } | undefined;
  return {
    code: error.code,
    message: error.message,
    hint: error.hint,
    retryAfterMs: error.retryAfterMs,
    cause: cause === undefined ? undefined : `${cause.code ?? "error"}: ${cause.message ?? "unknown"}`,
  };
}
