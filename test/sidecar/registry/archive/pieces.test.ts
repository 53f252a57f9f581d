import t from "tap";
import { givePiece, isPiece, PIECE_ROOM_BYTES, takePiece } from "../../../../sidecar/registry/archive/pieces.js";
import { encodePiece, encodeReply } from "../../../../sidecar/registry/grpc/wire.js";
import { bytesOf } from "../archive-files.js";

t.test("a piece that was given back is the next one's memory, and nobody else's is", (t) => {
  const piece = takePiece(100_000);
  givePiece(piece);
  t.equal(takePiece(100_000).buffer, piece.buffer);
  t.not(takePiece(100_000).buffer, piece.buffer, "once");
  const foreign = Buffer.alloc(100_000);
  t.notOk(isPiece(foreign));
  givePiece(foreign);
  t.not(takePiece(100_000).buffer, foreign.buffer);
  t.notOk(isPiece(Buffer.from("cut from a pool")));
  t.end();
});

t.test("a piece is encoded as any bytes are, and where it lies", (t) => {
  for (const length of [1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152]) {
    const bytes = bytesOf(length);
    const piece = takePiece(length);
    piece.set(bytes);
    const reply = encodePiece(piece);
    t.ok(reply.equals(encodeReply("RetrieveVersionData", { data_chunk: bytes })), `${length} bytes`);
    t.equal(reply.buffer, piece.buffer);
    t.ok(reply.byteOffset >= 0 && reply.byteOffset < PIECE_ROOM_BYTES);
    t.ok(encodePiece(bytes).equals(reply), "other bytes are copied");
  }
  t.end();
});
