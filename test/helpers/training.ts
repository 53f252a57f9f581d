/** A training of one document: quick, and followed like a long one. */
import type { Submission } from "../../core/contract/tasks.js";

const BOUNDARY = "b";
const EXPORT = JSON.stringify({
  projects: [
    { id: 1, name: "p", cuis: "", tuis: "", documents: [{ id: 1, name: "d", text: "new thing", annotations: [] }] },
  ],
});
const PART = `Content-Disposition: form-data; name="trainer_export"; filename="e.json"\r\nContent-Type: application/json`;

export const TRAINING: { readonly body: Buffer; readonly more: Partial<Submission> } = {
  body: Buffer.from(`--${BOUNDARY}\r\n${PART}\r\n\r\n${EXPORT}\r\n--${BOUNDARY}--\r\n`),
  more: {
    task: "train_supervised",
    path: "/train_supervised?epochs=1",
    class: "training",
    forceTrackingId: true,
    headers: ["Content-Type", `multipart/form-data; boundary=${BOUNDARY}`],
  },
};
