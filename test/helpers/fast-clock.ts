/** Clocks for pauses and patience that a test need not sit out. */
import { type Clock, systemClock } from "../../core/runtime/clock.js";

/** The system's clock, running so many times as fast. */
export function fastClock(factor: number): Clock {
  const startMs = Date.now();
  const beganMs = systemClock.elapsed();
  const elapsed = () => (systemClock.elapsed() - beganMs) * factor;
  return {
    now: () => Math.round(startMs + elapsed()),
    elapsed,
    after: (delayMs, action) => systemClock.after(delayMs / factor, action),
    soon: systemClock.soon,
    sleep: (delayMs, signal) => systemClock.sleep(delayMs / factor, signal),
  };
}

/** A clock on which every wait is over after a millisecond, and has passed; but one kind of wait takes its real time. */
export function leapingClock(realDelayMs: number): Clock {
  let leaptMs = 0;
  return {
    ...systemClock,
    now: () => systemClock.now() + leaptMs,
    after(delayMs, action) {
      if (delayMs === realDelayMs) return systemClock.after(delayMs, action);
      return systemClock.after(1, () => {
        leaptMs += delayMs;
        action();
      });
    },
  };
}
