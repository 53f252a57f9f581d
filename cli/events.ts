/** Server-sent events, as `/tasks/<id>/events` speaks them: the JSON of each `data:`. */

/** A line beyond this is not ours. */
const LONGEST_EVENT = 64 * 1024;

export async function* readEvents<T>(body: AsyncIterable<Buffer>): AsyncGenerator<T> {
  const decoder = new TextDecoder();
  let rest = "";
  let data: string[] = [];
  for await (const chunk of body) {
    rest += decoder.decode(chunk, { stream: true });
    const lines = rest.split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop()!;
    if (rest.length > LONGEST_EVENT) throw new Error("an event is too long");
    for (const line of lines) {
      if (line.startsWith("data:")) data.push(line.slice(5).trimStart());
      else if (line === "" && data.length > 0) {
        yield JSON.parse(data.join("\n")) as T;
        data = [];
      }
    }
  }
}
