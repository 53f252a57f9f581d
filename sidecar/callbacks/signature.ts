/** Signs a message after Standard Webhooks: `v1,` and the base64 HMAC-SHA256 of `id.timestamp.body`. Pure. */
import { createHmac } from "node:crypto";

export interface SignedMessage {
  /** The same for every delivery of one task's end. */
  readonly id: string;
  /** Of this delivery, epoch seconds. */
  readonly timestamp: number;
  readonly body: string;
}

export function sign({ id, timestamp, body }: SignedMessage, key: Buffer): string {
  return `v1,${createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64")}`;
}

/** @param key null: not signed */
export function webhookHeaders(message: SignedMessage, key: Buffer | null): Record<string, string> {
  return {
    "content-type": "application/json",
    "user-agent": "Sluice",
    "webhook-id": message.id,
    "webhook-timestamp": String(message.timestamp),
    ...(key === null ? {} : { "webhook-signature": sign(message, key) }),
  };
}
