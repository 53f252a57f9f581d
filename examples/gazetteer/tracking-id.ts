import { randomUUID } from "node:crypto";
import { refuseWithDetail } from "./errors.js";
import type { Call } from "./http.js";

/**
 * The caller's `tracking_id`, or a new one. To be called after the body was read: CMS checks it only then.
 * Stricter than CMS, which lets through letters that its own answer's header cannot carry.
 * @throws 400 D
 */
export function readTrackingId(call: Call): string {
  const given = call.query.getAll("tracking_id").at(-1);
  if (given === undefined) return randomUUID();
  if (/^[A-Za-z0-9][A-Za-z0-9_-]{0,255}$/u.test(given)) return given;
  throw refuseWithDetail(400, `Invalid tracking ID '${given}', must be an alphanumeric string of length 1 to 256`);
}
