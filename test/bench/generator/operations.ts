import type { Address } from "../peers/peer.ts";

/** Latencies of many like events, milliseconds. */
export interface Latencies {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
}

/** What became of a run of new connections. */
export interface ConnectResult {
  readonly perSecond: number;
  readonly firstByte: Latencies;
  /** Connections that broke or took longer than ten seconds. */
  readonly failures: number;
}

/** What the load generator can do: the argument and the result of each operation. */
export interface Operations {
  /** Rejects unless something takes TCP connections there. */
  connects: { args: Address; result: null };
  /** One connection, one byte there and back; rejects if that takes longer than `withinMs`. */
  probe: { args: Address & { readonly withinMs: number }; result: null };
  /** New connections, each with one byte there and back, `parallel` at a time for `seconds` or until `count` of them are done. */
  connections: {
    args: Address & {
      readonly parallel: number;
      readonly seconds: number;
      readonly count?: number;
    };
    result: ConnectResult;
  };
  /** One connection, one message there and back after the other; those of the first `skipSeconds` are not counted. */
  echo: {
    args: Address & {
      readonly bytes: number;
      readonly seconds: number;
      readonly skipSeconds?: number;
    };
    result: Latencies;
  };
  /** Opens connections, each with one byte there and back, until `total` are held. */
  hold: { args: Address & { readonly total: number }; result: { readonly held: number } };
  /** Over all held connections, in turn and 64 at a time, blocks there and back until `totalBytes` have gone each way. */
  exchange: {
    args: { readonly blockBytes: number; readonly totalBytes: number };
    result: { readonly bytes: number };
  };
  /** Closes what is held. */
  release: { args: null; result: null };
}

/** A request on the generator's standard input, one JSON line each. */
export interface Request<Name extends keyof Operations = keyof Operations> {
  readonly id: number;
  readonly operation: Name;
  readonly args: Operations[Name]["args"];
}

/** Its answer on standard output. */
export interface Reply {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: string;
}
