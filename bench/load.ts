/**
 * The load generator: a process of its own, so that it measures others and not its parent.
 * Plans come by message, one at a time; each is answered by a result.
 */
import { runClosedLoop, runOpenLoop } from "./load/loops.js";
import type { LoadPlan } from "./load/plan.js";

process.on("message", (plan: LoadPlan) => {
  const run = plan.rate === null ? runClosedLoop(plan) : runOpenLoop(plan, plan.rate);
  void run.then((result) => process.send?.(result));
});
process.once("disconnect", () => process.exit(0));
