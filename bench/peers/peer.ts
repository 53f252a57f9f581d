/** Something that answers requests and can be measured: the upstream itself, a foreign proxy, Sluice. */
export interface Peer {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** Put before the path of every request. */
  readonly prefix: string;
  /** Its first process; those below it are found by the kernel. */
  readonly pid: number;
  stop(): Promise<void>;
}
