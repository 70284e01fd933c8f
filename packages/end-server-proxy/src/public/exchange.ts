import type { PublicOffer } from "@culvert/wire";
import type { Millis } from "@culvert/runtime";

/** One HTTP request of a public connection, and what became of it. All texts come from strangers. */
export interface Exchange {
  readonly method: string;
  /** As it stood in the request line. */
  readonly path: string;
  /** Undefined where the connection ended before an answer. 101 where the connection became something else. */
  readonly status: number | undefined;
  /** Bytes of the bodies. */
  readonly requestBytes: number;
  readonly responseBytes: number;
  /** From the request's header to the end of the answer. */
  readonly durationMs: Millis;
}

/** One public connection that ended. */
export interface PublicConnectionEnd {
  /** What it was taken for: HTTP requests are told one by one beside this. */
  readonly protocol: "http" | "ssh" | "tls" | "other";
  readonly bytesUp: number;
  readonly bytesDown: number;
  readonly durationMs: Millis;
  /** Why it failed; undefined where it ended well. */
  readonly failure: string | undefined;
}

/** Is told what passes through the public entrance, for `culvert expose`. Must not throw. */
export interface PublicObserver {
  exchange(offer: PublicOffer, exchange: Exchange): void;
  ended(offer: PublicOffer, connection: PublicConnectionEnd): void;
  /** The local service could not be reached. */
  unreachable(offer: PublicOffer, text: string): void;
}
