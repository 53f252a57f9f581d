/** A transient version on its way into the registry: in one request, sent again from its beginning after a break. */
import type { VersionObject } from "../core/contract/registry-api.js";
import type { SluiceClient } from "./client.js";
import { CliError } from "./exit.js";
import { Patience } from "./patience.js";
import { modelPath } from "./registry-paths.js";
import { type FileUpload, madeSince, newestOf, sendPart, stopped } from "./resumable-upload.js";
import { showTransfer } from "./transfer-progress.js";

/** @throws as `uploadFile` */
export async function uploadWhole(client: SluiceClient, push: FileUpload): Promise<VersionObject> {
  const { header, signal } = push;
  const patience = new Patience(client, signal);
  const progress = showTransfer("Uploading", header.data_bytes);
  try {
    let newest: number | null = null;
    for (let isFirst = true; ; isFirst = false) {
      try {
        newest ??= await newestOrNone(client, push);
        // Of an earlier try the answer alone may have been lost.
        const made = isFirst ? null : await madeSince(client, push, newest).catch(ifUnknown);
        return made ?? (await sendPart(client, push, { ...callOf(push), offset: 0, progress }));
      } catch (caught) {
        await patience.rest(caught, progress);
      }
    }
  } catch (caught) {
    throw signal.aborted ? stopped(caught) : caught;
  } finally {
    progress.end();
  }
}

/** A model that is not there yet has no version. */
function ifUnknown(caught: unknown): null {
  if (caught instanceof CliError && caught.status === 404) return null;
  throw caught;
}

async function newestOrNone(client: SluiceClient, push: FileUpload): Promise<number> {
  try {
    return await newestOf(client, push);
  } catch (caught) {
    if (caught instanceof CliError && caught.status === 404 && push.create) return 0;
    throw caught;
  }
}

function callOf({ modelId, header, create }: FileUpload) {
  const query = new URLSearchParams({ archived: "false", create: String(create) });
  for (const [name, value] of Object.entries(header.user_data ?? {})) query.append("user_data", `${name}=${value}`);
  const digest = Buffer.from(header.sha256, "hex").toString("base64");
  return {
    method: "POST",
    path: `${modelPath(modelId)}/versions?${query}`,
    headers: { "repr-digest": `sha-256=:${digest}:` },
  } as const;
}
