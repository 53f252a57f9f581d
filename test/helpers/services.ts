/** Services that a test needs and a machine may lack. */
import type { Test } from "tap";

/**
 * Leaves the test out, with the reason in its name, or lets it fail where every service must be there
 * (`SLUICE_TEST_REQUIRE_SERVICES=1`, as in CI).
 * @param reason why the service cannot be had; null when it can
 * @returns true when the test may go on
 */
export function requireOrSkip(t: Test, service: string, reason: string | null): boolean {
  if (reason === null) return true;
  const words = `left out: needs ${service} (${reason})`;
  if (process.env.SLUICE_TEST_REQUIRE_SERVICES === "1") t.fail(words);
  else t.pass(words, { skip: words });
  return false;
}
