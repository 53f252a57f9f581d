/** `sluice submit`: hands a task in, waits for it and brings its result. */
import { nearest } from "../config/nearest.js";
import { TASK_TYPES, type TaskType } from "../core/contract/routes.js";
import { type ClientFlags, openClient, type SluiceClient, withClient } from "./client.js";
import { CliError, EXIT } from "./exit.js";
import { onInterrupt } from "./interrupt.js";
import { emptyPayload, type FormParts, filePayload, formPayload, type Payload } from "./payload.js";
import { assertSucceeded, assertWritable, fetchResult } from "./result.js";
import { showUpload } from "./terminal.js";
import { waitForTask } from "./wait.js";

export interface SubmitFlags extends ClientFlags {
  readonly contentType?: string;
  readonly form?: FormParts;
  readonly param?: readonly (readonly [string, string])[];
  readonly priority?: number;
  readonly tenant?: string;
  /** As the header says it: `10m`. */
  readonly deadline?: string;
  readonly callback?: string;
  readonly idempotencyKey?: string;
  readonly output?: string;
  /** False with `--no-wait`. */
  readonly wait: boolean;
  /** Milliseconds. */
  readonly timeout?: number;
  readonly json?: boolean;
}

export interface Submission {
  readonly model: string;
  readonly task: string;
  readonly file: string | undefined;
  readonly flags: SubmitFlags;
}

/** While the body is being written down, silence of this length means the connection is dead. */
const UPLOAD_SILENCE_MS = 120_000;

export async function submit(submission: Submission): Promise<void> {
  const { flags } = submission;
  if (!flags.wait && flags.output !== undefined) {
    const hint = "Fetch the result later with: sluice tasks wait ID --output FILE";
    throw new CliError(EXIT.usage, "--no-wait brings no result to put into --output", { hint });
  }
  const payload = await choosePayload(submission);
  if (flags.output !== undefined) await assertWritable(flags.output);
  const signal = onInterrupt();
  await withClient(openClient(flags), async (client) => {
    const uuid = await send(client, submission, payload, signal);
    if (!flags.wait) return tellSubmitted(client, uuid, flags);
    const task = await waitForTask(client, uuid, { timeoutMs: flags.timeout ?? null, signal });
    if (flags.json === true) process.stdout.write(`${JSON.stringify(task, null, 2)}\n`);
    assertSucceeded(task);
    if (flags.output !== undefined || flags.json !== true) {
      await fetchResult(client, task, flags.output ?? null, signal);
    }
    if (flags.output !== undefined && process.stderr.isTTY) process.stderr.write(`Result in ${flags.output}\n`);
  });
}

/** The field under which CogStack ModelServe expects a file, for `submit <model> <task> FILE`. */
function fileField(task: string): string {
  if (task === "process_bulk_file") return "multi_text_file";
  return task.startsWith("train_unsupervised") ? "training_data" : "trainer_export";
}

/** Tasks whose input is in their parameters alone. */
const WITHOUT_INPUT = new Set(["info", "train_unsupervised_with_hf_hub_dataset"]);

async function choosePayload({ task, file, flags }: Submission): Promise<Payload> {
  const type: TaskType | undefined = Object.hasOwn(TASK_TYPES, task) ? TASK_TYPES[task] : undefined;
  if (type === undefined && flags.contentType === undefined && flags.form === undefined) throw unknownTask(task);
  if (flags.form !== undefined) {
    if (file !== undefined) throw new CliError(EXIT.usage, "give either FILE or --form, not both");
    if (flags.contentType !== undefined) throw new CliError(EXIT.usage, "--form sets the content type itself");
    return formPayload(flags.form);
  }
  if (file === undefined) {
    if (flags.contentType === undefined && !WITHOUT_INPUT.has(task)) {
      const hint = "Name a FILE, '-' for standard input, or --form name=@file.";
      throw new CliError(EXIT.usage, `task '${task}' needs input`, { hint });
    }
    // Every task takes an empty text/plain body: its way to be called with parameters alone.
    return emptyPayload(flags.contentType ?? "text/plain");
  }
  const contentType = flags.contentType ?? type?.mediaType ?? "application/octet-stream";
  if (contentType !== "multipart/form-data") return filePayload(file, contentType);
  if (file === "-") {
    const hint = "A form needs files: save it first, then --form name=@file.";
    throw new CliError(EXIT.usage, `task '${task}' takes a form, which cannot come from standard input`, { hint });
  }
  return formPayload([[fileField(task), `@${file}`]]);
}

function unknownTask(task: string): CliError {
  const names = Object.keys(TASK_TYPES);
  const near = nearest(task, names);
  const hint = near === undefined ? `Tasks: ${names.join(", ")}.` : `Did you mean '${near}'?`;
  return new CliError(EXIT.usage, `there is no task '${task}'`, { hint: `${hint} Others need --content-type.` });
}

async function send(client: SluiceClient, of: Submission, payload: Payload, signal: AbortSignal): Promise<string> {
  const { model, task, flags } = of;
  const query = new URLSearchParams(
    (flags.param ?? []).map(([name, value]): [string, string] => [name, value]),
  ).toString();
  const path = `/models/${encodeURIComponent(model)}/tasks/${encodeURIComponent(task)}`;
  const progress = showUpload(payload.totalBytes);
  try {
    const accepted = await client.json<{ uuid: string }>({
      method: "POST",
      path: query === "" ? path : `${path}?${query}`,
      headers: {
        "content-type": payload.contentType,
        ...(payload.totalBytes === null ? {} : { "content-length": String(payload.totalBytes) }),
        ...termsOf(flags),
      },
      body: payload.open((bytes) => progress.add(bytes)),
      silenceMs: UPLOAD_SILENCE_MS,
      signal,
    });
    return accepted.uuid;
  } catch (caught) {
    if (!signal.aborted) throw caught;
    throw new CliError(EXIT.interrupted, "stopped before everything was sent; nothing was submitted");
  } finally {
    progress.end();
  }
}

/** What is asked of Sluice, not of the model server. */
function termsOf(flags: SubmitFlags): Record<string, string> {
  const terms = {
    "x-sluice-priority": flags.priority?.toString(),
    "x-sluice-tenant": flags.tenant,
    "x-sluice-deadline": flags.deadline,
    "sluice-callback": flags.callback,
    "idempotency-key": flags.idempotencyKey,
  };
  const given = Object.entries(terms).filter((each): each is [string, string] => each[1] !== undefined);
  return Object.fromEntries(given);
}

function tellSubmitted(client: SluiceClient, uuid: string, flags: SubmitFlags): void {
  const url = `${client.where}/tasks/${uuid}`;
  process.stdout.write(flags.json === true ? `${JSON.stringify({ uuid, url })}\n` : `${uuid}\n`);
  if (process.stderr.isTTY) process.stderr.write(`Its result: sluice tasks wait ${uuid}\n`);
}
