/** Requests that are streams, read one message at a time: the library alone would hold sixteen, whatever they weigh. */
import { ServerInterceptingCall, type ServerInterceptor } from "@grpc/grpc-js";
import { SERVICE_NAME } from "./wire.js";

/** What a handler finds in its stream. */
export interface Paced<T> {
  readonly message: T;
  /** The next one may come. */
  taken(): void;
}

const UPLOAD_PATH = `/${SERVICE_NAME}/CreateVersion`;

export const pace: ServerInterceptor = (method, call) => {
  if (method.path === UPLOAD_PATH) return new TakenOneByOne(call);
  // Reflection: answers each message with one.
  if (method.requestStream) return new AnsweredOneByOne(call);
  return new ServerInterceptingCall(call);
};

class HeldReads extends ServerInterceptingCall {
  #holds = 0;
  #isWanted = false;

  override startRead(): void {
    if (this.#holds > 0) this.#isWanted = true;
    else super.startRead();
  }

  protected hold(): () => void {
    this.#holds += 1;
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.#holds -= 1;
      if (this.#holds > 0 || !this.#isWanted) return;
      this.#isWanted = false;
      super.startRead();
    };
  }
}

type Listener = Parameters<ServerInterceptingCall["start"]>[0];

class TakenOneByOne extends HeldReads {
  override start(listener: Listener): void {
    super.start({
      onReceiveMetadata: (metadata) => listener.onReceiveMetadata(metadata),
      onReceiveMessage: (message: unknown) =>
        listener.onReceiveMessage({ message, taken: this.hold() } satisfies Paced<unknown>),
      onReceiveHalfClose: () => listener.onReceiveHalfClose(),
      onCancel: () => listener.onCancel(),
    });
  }
}

class AnsweredOneByOne extends HeldReads {
  override sendMessage(message: unknown, callback: () => void): void {
    const release = this.hold();
    super.sendMessage(message, () => {
      release();
      callback();
    });
  }
}
