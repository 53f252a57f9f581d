/** What a model server says of itself: `GET /info`. */
import { below, type HttpClient, readText } from "../../core/runtime/http.js";

/** Bound on a model server's `/info`, and on its size: the labels of a large model are a few hundred kilobytes. */
const INFO_TIMEOUT_MS = 5_000;
const INFO_MAX_BYTES = 16 * 2 ** 20;

/** @returns null when it cannot be had: no answer in time, or none of success */
export async function fetchInfoText(http: HttpClient, url: string): Promise<string | null> {
  try {
    const signal = AbortSignal.timeout(INFO_TIMEOUT_MS);
    const answer = await http.call({ method: "GET", ...below(url, "/info"), signal });
    const text = await readText(answer.body, INFO_MAX_BYTES);
    return answer.status >= 200 && answer.status < 300 ? text : null;
  } catch {
    return null;
  }
}
