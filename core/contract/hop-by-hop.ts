/** Fields that speak of one connection (RFC 9110 7.6.1): never passed on, never kept with an answer. */
export const HOP_BY_HOP: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "te",
  "transfer-encoding",
  "upgrade",
  "http2-settings",
]);
