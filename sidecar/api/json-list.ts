/** A list as JSON that is written while it is read: however long and however big its items, one slice is in memory. */
import { Readable } from "node:stream";
import { setImmediate } from "node:timers/promises";

/** A slice ends here, whatever its items; then others have their turn. */
const SLICE_BYTES = 64 * 1024;

export interface JsonList<Item> {
  /** Of the list in the object that comes out. */
  readonly name: string;
  readonly items: Iterable<Item>;
  /** What follows the list; asked for when it is through. */
  rest(): Readonly<Record<string, unknown>>;
}

/** `{"<name>":[…],…rest}` */
export function jsonList<Item>(list: JsonList<Item>): Readable {
  return Readable.from(slices(list), { objectMode: false, highWaterMark: SLICE_BYTES });
}

async function* slices<Item>({ name, items, rest }: JsonList<Item>): AsyncGenerator<Buffer> {
  let text = `{${JSON.stringify(name)}:[`;
  let before = "";
  for (const item of items) {
    text += before + JSON.stringify(item);
    before = ",";
    if (text.length < SLICE_BYTES) continue;
    yield Buffer.from(text);
    text = "";
    await setImmediate();
  }
  const after = JSON.stringify(rest()).slice(1, -1);
  yield Buffer.from(`${text}]${after === "" ? "" : `,${after}`}}`);
}
