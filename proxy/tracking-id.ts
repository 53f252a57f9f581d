/** CMS checks `tracking_id` only after it has swallowed the whole upload (reference cms-api 2.3); we check it first. Pure. */
import { SluiceError } from "../core/contract/errors.js";
import { TRACKED_PATHS, TRACKING_ID } from "../core/contract/routes.js";

const SHOWN_CHARACTERS = 64;

/** @throws INVALID_TRACKING_ID in CMS's own words */
export function checkTrackingId(path: string, query: string): void {
  if (query.length < 2 || !TRACKED_PATHS.has(path)) return;
  if (!query.includes("tracking_id") && !query.includes("%")) return;
  for (const value of new URLSearchParams(query).getAll("tracking_id")) {
    if (TRACKING_ID.test(value)) continue;
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be shown
    const shown = value.slice(0, SHOWN_CHARACTERS).replace(/[\u0000-\u001f\u007f-\u009f]/g, "?");
    throw new SluiceError(
      "INVALID_TRACKING_ID",
      `Invalid tracking ID '${shown}', must be an alphanumeric string of length 1 to 256`,
    );
  }
}
