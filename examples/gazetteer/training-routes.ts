import { hostname } from "node:os";
import { parseUploadedTexts } from "./body.js";
import { refuseWithMessage } from "./errors.js";
import { allDocuments, readExports } from "./export.js";
import { type Call, type Reply, replyJson } from "./http.js";
import { type FilePart, type Form, readForm, requireFiles } from "./multipart.js";
import { decimal, integer, readQuery, requiredText } from "./query.js";
import type { Route } from "./route.js";
import { describeRun, type Run } from "./runs.js";
import type { Service } from "./service.js";
import { readTrackingId } from "./tracking-id.js";
import { measure, trainSupervised, trainUnsupervised } from "./train.js";
import { BUSY_MESSAGE, type Slot, type Work } from "./trainer.js";

export const TRAINING_ROUTES: readonly Route[] = [
  { method: "POST", path: "/train_supervised", summary: "Learns a trainer export", handle: startSupervised },
  { method: "POST", path: "/train_unsupervised", summary: "Counts known terms in texts", handle: startUnsupervised },
  { method: "POST", path: "/evaluate", summary: "Measures against a trainer export", handle: startEvaluation },
  { method: "GET", path: "/train_eval_info", summary: "Runs of that name", handle: showRuns },
  { method: "GET", path: "/train_eval_metrics", summary: "Their metrics", handle: showMetrics },
  { method: "POST", path: "/cancel_training", summary: "Stops what is running", handle: cancelTraining },
];

async function startSupervised(call: Call): Promise<Reply> {
  const form = await readForm(call);
  const files = requireFiles(form, "trainer_export");
  const query = readQuery(call.query, {
    epochs: integer(1, { min: 0 }),
    lr_override: decimal(null, { above: 0 }),
    test_size: decimal(0.2),
    early_stopping_patience: integer(-1),
    log_frequency: integer(1, { min: 1 }),
  });
  const name = readTrackingId(call);
  const documents = allDocuments(readExports(files));
  const plan = { epochs: query.epochs, testSize: query.test_size };
  return startJob(call, {
    slot: "supervised",
    idKey: "training_id",
    message: "Your training started successfully.",
    name,
    logFrequency: query.log_frequency,
    tags: {
      ...describeInput(
        form,
        files,
        documents.map(({ text }) => text),
      ),
      "training.trainer.mode": "train",
    },
    work: async (work) => {
      const terms = await trainSupervised(work, call.service.annotator.terms, documents, plan);
      if (plan.epochs > 0) await call.service.adopt(terms, work);
    },
  });
}

async function startUnsupervised(call: Call): Promise<Reply> {
  const form = await readForm(call);
  const files = requireFiles(form, "training_data");
  const query = readQuery(call.query, {
    epochs: integer(1, { min: 0 }),
    lr_override: decimal(null, { above: 0 }),
    test_size: decimal(0.2, { min: 0 }),
    log_frequency: integer(1000, { min: 1 }),
  });
  const name = readTrackingId(call);
  const texts = files.flatMap(({ content }) => parseUploadedTexts(content));
  return startJob(call, {
    slot: "unsupervised",
    idKey: "training_id",
    message: "Your training started successfully.",
    name,
    logFrequency: query.log_frequency,
    tags: { ...describeInput(form, files, texts), "training.trainer.mode": "train" },
    work: async (work) => {
      const terms = await trainUnsupervised(work, call.service.annotator.terms, texts, query.epochs);
      if (query.epochs > 0) await call.service.adopt(terms, work);
    },
  });
}

async function startEvaluation(call: Call): Promise<Reply> {
  const form = await readForm(call);
  const files = requireFiles(form, "trainer_export");
  const name = readTrackingId(call);
  const documents = allDocuments(readExports(files));
  return startJob(call, {
    slot: "supervised",
    idKey: "evaluation_id",
    message: "Your evaluation started successfully.",
    name,
    logFrequency: 1,
    tags: {
      ...describeInput(
        form,
        files,
        documents.map(({ text }) => text),
      ),
      "training.trainer.mode": "eval",
    },
    work: (work) => measure(work, call.service.annotator, documents),
  });
}

interface Job {
  readonly slot: Slot;
  readonly idKey: "training_id" | "evaluation_id";
  readonly message: string;
  readonly name: string;
  readonly logFrequency: number;
  readonly tags: Record<string, string>;
  readonly work: (work: Work) => Promise<void>;
}

/** The 202 is given when the run is written down. */
async function startJob({ service }: Call, { idKey, message, ...job }: Job): Promise<Reply> {
  const experiment = `${service.options.name.replaceAll(" ", "_")}_${job.slot}`;
  const started = service.trainer.start({ ...job, experiment });
  if ("busy" in started) return replyJson(503, { message: BUSY_MESSAGE, ...idsOf(started.busy) });
  await service.runs.settle();
  return replyJson(202, { message, [idKey]: job.name, ...idsOf(started.run) });
}

function idsOf({ experiment_id, run_id }: Run) {
  return { experiment_id, run_id };
}

function describeInput(form: Form, files: readonly FilePart[], texts: readonly string[]): Record<string, string> {
  return {
    "mlflow.source.name": hostname(),
    "mlflow.note.content": form.fields.get("description")?.at(-1) ?? "",
    "training.input_data.filename": files.map(({ fileName }) => fileName).join(","),
    "training.is.tracked": "True",
    "training.trainer.backend": "gazetteer",
    "training.document.size": String(texts.length),
    "training.token.count": String(texts.reduce((count, text) => count + (text.match(/\S+/gu)?.length ?? 0), 0)),
  };
}

function showRuns({ query, service }: Call): Reply {
  const runs = findRuns(query, service).map((run) => describeRun(run, service.artifactRoot));
  return replyJson(runs.length === 0 ? 404 : 200, runs);
}

function showMetrics({ query, service }: Call): Reply {
  const metrics = findRuns(query, service).map((run) => ({ ...run.metrics, concepts: run.concepts }));
  return replyJson(metrics.length === 0 ? 404 : 200, metrics);
}

function findRuns(query: URLSearchParams, service: Service): Run[] {
  return service.runs.named(readQuery(query, { train_eval_id: requiredText() }).train_eval_id);
}

async function cancelTraining(call: Call): Promise<Reply> {
  await call.drain();
  if (call.service.trainer.cancel())
    return replyJson(202, { message: "The in-progress training will be stopped momentarily." });
  throw refuseWithMessage(400, "No training or evaluation is in progress.");
}
