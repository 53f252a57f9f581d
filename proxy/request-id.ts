/** The id that follows one request through answers, logs and both processes. */
import { randomBytes } from "node:crypto";

const ACCEPTED = /^[\w.:/+=-]{1,128}$/;
const prefix = randomBytes(6).toString("hex");
let count = 0;

/** The client's own id where it is harmless, else a new one: a random prefix per process and a counter. */
export function requestIdOf(sent: string | string[] | undefined): string {
  if (typeof sent === "string" && ACCEPTED.test(sent)) return sent;
  count += 1;
  return `${prefix}-${count.toString(36)}`;
}
