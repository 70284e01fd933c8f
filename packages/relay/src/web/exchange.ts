import type { Readable, Writable } from "node:stream";
import type { HeaderFields } from "./forwarded-headers.ts";
import type { PublicClient } from "./public-client.ts";

/** A request and where its answer goes, of whatever version of HTTP. */
export interface Exchange {
  readonly client: PublicClient;
  readonly method: string;
  /** The path and query, or `*`. */
  readonly target: string;
  /** Whom the request names: Host or `:authority`; undefined where it names nobody. */
  readonly authority: string | undefined;
  /** Why the request cannot be acted on, though its syntax is right; undefined for a sound one. */
  readonly fault: string | undefined;
  /** Names and values in turn, as sent. */
  readonly rawFields: readonly string[];
  readonly body: RequestBody | undefined;
  /** Begins the answer and returns where its body goes; `bodyless` ends it at once. Called once. */
  respond(status: number, fields: HeaderFields, bodyless: boolean): Writable;
  /** Whether the answer has begun. */
  readonly responded: boolean;
  /** Calls back once, when the answer has left or the client has; `whole` says which. */
  onClose(callback: (whole: boolean) => void): void;
  /** Cuts the answer off, so that the client sees that it is not whole. */
  abort(): void;
}

/** The body of a request. */
export interface RequestBody {
  readonly stream: Readable;
  /** Bytes, where the client said how many. */
  readonly length: string | undefined;
  /** Whether the client cut the body off; an end of the stream is no end of the body then. */
  readonly cut: boolean;
}
