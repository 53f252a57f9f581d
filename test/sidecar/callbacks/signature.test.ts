import t from "tap";
import { callbackKey } from "../../../config/sections/upkeep.js";
import { sign, webhookHeaders } from "../../../sidecar/callbacks/signature.js";

t.test("a message is signed as Standard Webhooks wants it", async (t) => {
  const key = callbackKey("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
  const message = { id: "msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp: 1_614_265_330, body: '{"test": 2432232314}' };
  t.equal(sign(message, key), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
  t.match(webhookHeaders(message, key), {
    "webhook-id": message.id,
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
  });
  t.notOk("webhook-signature" in webhookHeaders(message, null), "without a key it is not signed");
});
