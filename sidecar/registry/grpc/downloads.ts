/** The bytes of a version, sent piece by piece as the client takes them. */
import { shownId, type VersionInfo } from "../../../core/contract/registry.js";
import { givePiece } from "../archive/pieces.js";
import type { Registry } from "../registry.js";
import { asRefusal, CallRefused, isMissing, unknownVersion } from "./statuses.js";
import { versionAt } from "./versions.js";
import { encodePiece, encodeReply, type Requests } from "./wire.js";

/** A stream of replies. */
export interface ReplyStream {
  /** Aborts when the call is over, however it ended. */
  readonly signal: AbortSignal;
  /** Resolves when the connection has taken it; fails when the client is gone, or takes nothing for too long. */
  send(reply: Buffer): Promise<void>;
}

export async function sendVersionData(
  registry: Registry,
  { model_id: id, version_number: number }: Requests["RetrieveVersionData"],
  replies: ReplyStream & { readonly chunkBytes: number },
): Promise<void> {
  const info = dataVersion(registry, id, number);
  try {
    const { stream } = await registry.open(id, info.versionNumber, { chunkBytes: replies.chunkBytes });
    const endEarly = () => stream.destroy();
    replies.signal.addEventListener("abort", endEarly, { once: true });
    if (replies.signal.aborted) endEarly();
    let isEmpty = true;
    for await (const chunk of stream as AsyncIterable<Uint8Array>) {
      isEmpty = false;
      await replies.send(encodePiece(chunk));
      // What is sent is a copy that the library made.
      givePiece(chunk);
    }
    // No data is one piece without bytes: some clients wait for a first one.
    if (isEmpty) await replies.send(encodeReply("RetrieveVersionData", { data_chunk: Buffer.alloc(0) }));
  } catch (error) {
    if (replies.signal.aborted) throw new CallRefused("CANCELLED", "the client went away");
    if (isMissing(error, "REGISTRY_VERSION_UNKNOWN") || isMissing(error, "REGISTRY_MODEL_UNKNOWN")) {
      throw unknownVersion(id, info.versionNumber);
    }
    throw asRefusal(error, `retrieving version "${number}" for model ${shownId(id)}`);
  }
}

/** Unlike with infos, a version that is gone is named by the number it had, where there was one. */
function dataVersion(registry: Registry, id: string, number: number): VersionInfo {
  try {
    return versionAt(registry, id, number);
  } catch (error) {
    const newest = number < 0 ? (registry.latest(id)?.versionNumber ?? 0) : 0;
    const meant = newest + number + 1;
    throw meant >= 1 && newest > 0 ? unknownVersion(id, meant) : error;
  }
}
