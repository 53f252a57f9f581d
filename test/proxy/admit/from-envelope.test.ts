import t from "tap";
import { errorEnvelope, SluiceError } from "../../../core/contract/errors.js";
import { fromEnvelope } from "../../../proxy/admit/hold.js";

t.test("an error of the sidecar keeps the time to try again at, which its hint speaks of", async (t) => {
  const text = JSON.stringify(errorEnvelope(new SluiceError("QUEUE_FULL", "full", { retryAfterMs: 30_000 })));
  t.match(fromEnvelope({ status: 429, headers: { "retry-after": "30" } }, text), {
    code: "QUEUE_FULL",
    retryAfterMs: 30_000,
  });
  t.equal((fromEnvelope({ status: 429, headers: {} }, text) as SluiceError).retryAfterMs, undefined);
});
