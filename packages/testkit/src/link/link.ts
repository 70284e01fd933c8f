import type { Duplex } from "node:stream";
import { readBytes } from "../payload.ts";
import { waitUntil, within } from "../wait-until.ts";

/** One end of whatever carries streams: a QUIC connection, a session. */
export interface LinkEnd<Stream extends Duplex> {
  openStream(): Promise<Stream>;
  readonly streams: AsyncIterable<Stream>;
  stats(): { readonly openStreams: number };
}

/** One of the two ends of a link. */
export type Side = "client" | "server";

/** Both ends of a stream, each known to its application. */
export interface StreamPair<Stream extends Duplex> {
  /** The end of the side that opened it. */
  readonly near: Stream;
  readonly far: Stream;
}

/** Both ends of one connection or session. */
export class Link<Stream extends Duplex, End extends LinkEnd<Stream>> {
  readonly client: End;
  readonly server: End;
  readonly #incoming: Readonly<Record<Side, AsyncIterator<Stream>>>;

  constructor(client: End, server: End) {
    this.client = client;
    this.server = server;
    this.#incoming = {
      client: client.streams[Symbol.asyncIterator](),
      server: server.streams[Symbol.asyncIterator](),
    };
  }

  /** The next stream that the other side opened; undefined when there will be none. */
  async accept(side: Side): Promise<Stream | undefined> {
    const what = `a stream accepted by the ${side}`;
    const result = await within(this.#incoming[side].next(), { what });
    return result.done === true ? undefined : result.value;
  }

  /** Opens a stream from `side`, and has the other side accept it and read its first byte. */
  async open(side: Side): Promise<StreamPair<Stream>> {
    const near = await within(this[side].openStream(), { what: "openStream" });
    near.write("!");
    const far = await this.accept(otherSide(side));
    if (far === undefined) throw new Error("the connection ended");
    await within(readBytes(far, 1), { what: "the first byte of a stream" });
    return { near, far };
  }

  /** Waits until neither end counts an open stream. */
  async expectNoStreams(): Promise<void> {
    for (const side of ["client", "server"] as const) {
      await waitUntil(() => this[side].stats().openStreams === 0, {
        what: `no open stream at the ${side}`,
      });
    }
  }
}

/** The other one. */
export function otherSide(side: Side): Side {
  return side === "client" ? "server" : "client";
}
