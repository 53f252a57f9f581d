/** Time that runs faster than the system's, so that pauses and patience are short. */
import { type Clock, sleep } from "../../../core/runtime/clock.js";

export function fastClock(times: number): Clock {
  const beganAtMs = Date.now();
  const beganAt = performance.now();
  const elapsed = () => (performance.now() - beganAt) * times;
  return {
    now: () => Math.round(beganAtMs + elapsed()),
    elapsed,
    after(delayMs, action) {
      const timer = setTimeout(action, Math.min(Math.max(delayMs / times, 0), 2_147_483_647));
      timer.unref();
      return () => clearTimeout(timer);
    },
    soon: (action) => void setImmediate(action),
    sleep: (delayMs, signal) => sleep(delayMs / times, signal),
  };
}
