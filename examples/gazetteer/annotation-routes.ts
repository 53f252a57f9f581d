import { readTextBody } from "./body.js";
import { type Call, type Reply, replyJson } from "./http.js";
import type { Route } from "./routes.js";

export const ANNOTATION_ROUTES: readonly Route[] = [
  { method: "POST", path: "/process", summary: "Annotates one text", limited: true, handle: annotateText },
];

async function annotateText(call: Call): Promise<Reply> {
  return replyJson(200, annotateDocument(call, await readTextBody(call)));
}

function annotateDocument({ service }: Call, text: string) {
  const annotations = service.annotator.annotate(text);
  service.metrics.countAnnotations(annotations.length);
  return { text, annotations };
}
