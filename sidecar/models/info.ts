/** What a model server says of itself: `GET /info`. */
import { below, type HttpAnswer, type HttpClient } from "../../core/runtime/http.js";

/** Bound on a model server's `/info`, and on its size: the labels of a large model are a few hundred kilobytes. */
const INFO_TIMEOUT_MS = 5_000;
const INFO_MAX_BYTES = 16 * 2 ** 20;

/** @returns null when it cannot be had: no answer in time, or none of success */
export async function fetchInfoText(http: HttpClient, url: string): Promise<string | null> {
  try {
    const signal = AbortSignal.timeout(INFO_TIMEOUT_MS);
    const answer = await http.call({ method: "GET", ...below(url, "/info"), signal });
    const text = await readBounded(answer.body);
    return answer.status >= 200 && answer.status < 300 ? text : null;
  } catch {
    return null;
  }
}

/** @throws Error when the body is larger than any description */
async function readBounded(body: HttpAnswer["body"]): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > INFO_MAX_BYTES) throw new Error("the description is too large");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
