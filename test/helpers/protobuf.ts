/** Protocol buffers by hand, where the bytes themselves are what is tested. */

/** Base-128, of the 64 bits of a number: negative ones take ten bytes. */
export function varint(value: number | bigint): Buffer {
  let rest = BigInt.asUintN(64, BigInt(value));
  const bytes: number[] = [];
  do {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    bytes.push(rest > 0n ? low | 0x80 : low);
  } while (rest > 0n);
  return Buffer.from(bytes);
}

export function int(field: number, value: number | bigint): Buffer {
  return Buffer.concat([varint(field << 3), varint(value)]);
}

export function fixed64(field: number, value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return Buffer.concat([varint((field << 3) | 1), bytes]);
}

/** Strings, bytes, messages and packed numbers. */
export function bytes(field: number, ...parts: (string | Uint8Array)[]): Buffer {
  const content = Buffer.concat(parts.map((part) => Buffer.from(part as Uint8Array)));
  return Buffer.concat([varint((field << 3) | 2), varint(content.length), content]);
}

export interface Field {
  readonly field: number;
  readonly value: bigint | Buffer;
  /** 0 varint, 1 eight bytes, 2 length and bytes. */
  readonly type: number;
}

/** The fields of a message in their order on the wire. */
export function fieldsOf(message: Buffer): Field[] {
  const fields: Field[] = [];
  let at = 0;
  const readVarint = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = message[at++]!;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.length) {
    const key = Number(readVarint());
    const [field, type] = [key >> 3, key & 7];
    if (type === 0) fields.push({ field, type, value: readVarint() });
    else if (type === 1) {
      fields.push({ field, type, value: message.readBigUInt64LE(at) });
      at += 8;
    } else if (type === 2) {
      const length = Number(readVarint());
      fields.push({ field, type, value: message.subarray(at, at + length) });
      at += length;
    } else throw new Error(`wire type ${type} is not expected`);
  }
  return fields;
}
