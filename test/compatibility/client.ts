/** The plainest HTTP client there is: sends what it is given and adds nothing, follows nothing, tries nothing again. */
import http from "node:http";

export interface Ask {
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON, with its content type. */
  readonly json?: unknown;
  /** Sent as it is, with no content type but the one in `headers`. */
  readonly body?: string | Buffer;
}

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
  /** The body read as JSON; undefined where it is none. */
  // biome-ignore lint/suspicious/noExplicitAny: whatever the server answers
  readonly json: any;
}

export type Client = (method: string, path: string, ask?: Ask) => Promise<Answer>;

/** Bound on one exchange. */
const WITHIN_MS = 20_000;

/** @param origin `http://host:port`; paths are sent as they are written */
export function createClient(origin: string): Client {
  const { hostname, port } = new URL(origin);
  return (method, path, ask = {}) =>
    new Promise((resolve, reject) => {
      const body = ask.json === undefined ? ask.body : JSON.stringify(ask.json);
      const headers = {
        ...(ask.json === undefined ? {} : { "content-type": "application/json" }),
        ...(body === undefined ? {} : { "content-length": String(Buffer.byteLength(body)) }),
        ...ask.headers,
      };
      const request = http.request({ hostname, port, method, path, headers, agent: false, timeout: WITHIN_MS });
      request.once("timeout", () => request.destroy(new Error(`${method} ${path}: silent for ${WITHIN_MS} ms`)));
      request.once("error", reject);
      request.once("response", (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.once("error", reject);
        response.once("end", () => {
          const text = Buffer.concat(chunks).toString();
          resolve({ status: response.statusCode!, headers: response.headers, text, json: parse(text) });
        });
      });
      request.end(body);
    });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
