/** A version on its way in: a header, then bodies, taken at the rate at which they are stored. */
import { shownId } from "../../../core/contract/registry.js";
import type { Registry, Upload, VersionHeader } from "../registry.js";
import { asRefusal, CallRefused, isMissing, unknownModel } from "./statuses.js";
import { encodeReply, type Requests, type WireVersionInfo, wireVersion } from "./wire.js";

export type UploadMessage = Requests["CreateVersion"];

/** The client's messages, one at a time: the next is read from the connection once it is asked for. Null at their end. */
export interface UploadMessages {
  readonly signal: AbortSignal;
  /** Fails when the client is gone, or sends nothing for too long. */
  next(): Promise<UploadMessage | null>;
}

export async function createVersion(registry: Registry, messages: UploadMessages): Promise<Buffer> {
  const header = readHeader(await messages.next());
  try {
    const upload = await registry.create(header);
    try {
      await receive(upload, header, messages);
      return encodeReply("CreateVersion", { version_info: wireVersion(await upload.commit()) });
    } catch (error) {
      await upload.abort();
      throw error;
    }
  } catch (error) {
    if (isMissing(error, "REGISTRY_MODEL_UNKNOWN")) throw unknownModel(header.modelId);
    throw asRefusal(error, `creating a version for model ${shownId(header.modelId)}`);
  }
}

async function receive(upload: Upload, { dataBytes }: VersionHeader, messages: UploadMessages): Promise<void> {
  let receivedBytes = 0;
  for (let message = await messages.next(); message !== null; message = await messages.next()) {
    if (message.msg !== "body" || !message.body) {
      throw new CallRefused("INVALID_ARGUMENT", "subsequent request chunk do not include a Body");
    }
    receivedBytes += message.body.data_chunk.length;
    if (receivedBytes > dataBytes) throw wrongSize(dataBytes, receivedBytes);
    if (message.body.data_chunk.length > 0) await upload.write(ownBytes(message.body.data_chunk));
  }
  // Before the end of what a vanished client would have sent.
  if (messages.signal.aborted) throw new CallRefused("CANCELLED", "the client went away");
  if (receivedBytes !== dataBytes) throw wrongSize(dataBytes, receivedBytes);
}

function readHeader(message: UploadMessage | null): VersionHeader {
  if (message === null) throw new CallRefused("INVALID_ARGUMENT", "empty request");
  if (message.msg !== "header" || !message.header) {
    throw new CallRefused("INVALID_ARGUMENT", "first request chunk does not include a Header");
  }
  const info = message.header.version_info;
  if (info === null) throw new CallRefused("INVALID_ARGUMENT", "the Header has no version_info");
  return headerOf(info);
}

function headerOf(info: WireVersionInfo): VersionHeader {
  const dataBytes = Number(info.data_size);
  if (!Number.isSafeInteger(dataBytes)) {
    throw new CallRefused("RESOURCE_EXHAUSTED", `a version of ${info.data_size} bytes is larger than any can be`);
  }
  const timestamp = BigInt(info.creation_timestamp);
  return {
    modelId: info.model_id,
    archived: info.archived,
    dataBytes,
    dataHash: info.data_hash === "" ? null : info.data_hash,
    creationTimestamp: timestamp === 0n ? null : timestamp,
    userData: info.user_data,
  };
}

function wrongSize(expectedBytes: number, receivedBytes: number): CallRefused {
  return new CallRefused(
    "INVALID_ARGUMENT",
    `stream ended while having not received the expected data, expected ${expectedBytes} bytes, received ${receivedBytes} bytes`,
  );
}

/** A chunk may be handed on with the memory it lies in: it must not share that with anybody, or carry much more than itself. */
const MAX_EXCESS_BYTES = 4_096;

function ownBytes(chunk: Buffer): Uint8Array {
  const excessBytes = chunk.buffer.byteLength - chunk.byteLength;
  const isAlone = chunk.byteLength > Buffer.poolSize && excessBytes <= MAX_EXCESS_BYTES;
  return isAlone ? chunk : Uint8Array.from(chunk);
}
