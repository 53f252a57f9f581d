/**
 * One keep-alive HTTP/1.1 connection that costs as little as it can, so that the generator is not what is measured.
 * One request at a time; answers need a Content-Length.
 */
import { connect, type Socket } from "node:net";

/** `answer` carries status and body length; `broken` names what ended the connection before the answer did. */
export type Outcome =
  | { readonly kind: "answer"; readonly status: number; readonly bytes: number }
  | { readonly kind: "broken"; readonly reason: string };

const HEAD_END = Buffer.from("\r\n\r\n");
const LENGTH = "\r\ncontent-length:";
const MAX_HEAD_BYTES = 64 * 1024;

export class Connection {
  readonly #socket: Socket;
  #head: Buffer | undefined;
  #status = 0;
  #bytes = 0;
  #missing = 0;
  #closes = false;
  #inBody = false;
  #settle: ((outcome: Outcome) => void) | undefined;
  #isOpen = true;

  constructor(host: string, port: number) {
    this.#socket = connect({ host, port, noDelay: true });
    this.#socket.on("data", (chunk) => this.#read(chunk));
    this.#socket.on("error", (error: NodeJS.ErrnoException) => this.#end(error.code ?? "error"));
    this.#socket.on("close", () => this.#end("closed"));
  }

  /** False once no further request can be sent. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  send(bytes: readonly Uint8Array[], settle: (outcome: Outcome) => void): void {
    this.#settle = settle;
    if (!this.#isOpen) {
      setImmediate(() => this.#end("closed"));
      return;
    }
    if (bytes.length > 1) this.#socket.cork();
    for (const each of bytes) this.#socket.write(each);
    if (bytes.length > 1) this.#socket.uncork();
  }

  destroy(): void {
    this.#settle = undefined;
    this.#isOpen = false;
    this.#socket.destroy();
  }

  #end(reason: string): void {
    this.#isOpen = false;
    const settle = this.#settle;
    this.#settle = undefined;
    settle?.({ kind: "broken", reason });
  }

  #read(chunk: Buffer): void {
    if (this.#inBody) this.#readBody(chunk.length);
    else this.#readHead(chunk);
  }

  #readHead(chunk: Buffer): void {
    const head = this.#head === undefined ? chunk : Buffer.concat([this.#head, chunk]);
    const end = head.indexOf(HEAD_END);
    if (end < 0) {
      this.#head = head;
      if (head.length > MAX_HEAD_BYTES) this.#refuse("head-too-long");
      return;
    }
    this.#head = undefined;
    const text = head.toString("latin1", 0, end).toLowerCase();
    const rest = head.subarray(end + HEAD_END.length);
    this.#status = Number(text.slice(9, 12));
    if (this.#status >= 100 && this.#status < 200) {
      this.#readHead(rest);
      return;
    }
    const at = text.indexOf(LENGTH);
    if (at < 0) {
      this.#refuse("no-content-length");
      return;
    }
    this.#bytes = Number.parseInt(text.slice(at + LENGTH.length), 10);
    this.#missing = this.#bytes;
    this.#closes = text.includes("\r\nconnection: close");
    this.#inBody = true;
    this.#readBody(rest.length);
  }

  #readBody(length: number): void {
    this.#missing -= length;
    if (this.#missing > 0) return;
    if (this.#missing < 0) {
      this.#refuse("answer-too-long");
      return;
    }
    this.#inBody = false;
    if (this.#closes) {
      this.#isOpen = false;
      this.#socket.end();
    }
    const settle = this.#settle;
    this.#settle = undefined;
    settle?.({ kind: "answer", status: this.#status, bytes: this.#bytes });
  }

  #refuse(reason: string): void {
    this.#end(reason);
    this.#socket.destroy();
  }
}
