/** True when only this machine reaches an address that is listened on. */
export function isLoopback(host: string): boolean {
  return /^(127\.|::1$|localhost$)/.test(host);
}
