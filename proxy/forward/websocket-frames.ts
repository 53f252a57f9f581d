/** The one WebSocket frame Sluice writes itself (RFC 6455 5.5.1). Pure. */

const FINAL_CLOSE = 0x88;

/** @param isMasked true towards a server, as the protocol demands of a client; a zero mask leaves the bytes as they are */
export function closeFrame(code: number, isMasked: boolean): Buffer {
  const payload = Buffer.alloc(2);
  payload.writeUInt16BE(code);
  if (!isMasked) return Buffer.concat([Buffer.of(FINAL_CLOSE, payload.length), payload]);
  return Buffer.concat([Buffer.of(FINAL_CLOSE, 0x80 | payload.length, 0, 0, 0, 0), payload]);
}
