import type { ByteStream, CloseReason } from "@culvert/runtime";
import type { PeerId } from "@culvert/identity";
import type { QuicConnection } from "@culvert/quic";
import { formatHostPort } from "./host-port.ts";
import type { Session, SessionStats } from "./session.ts";

/** A {@link Session} that is one QUIC connection. */
export class QuicSession implements Session {
  readonly transport: string;
  readonly peer: PeerId;
  readonly closed: Promise<CloseReason>;
  readonly #connection: QuicConnection;

  constructor(connection: QuicConnection) {
    this.#connection = connection;
    this.transport = `quic/${connection.engine}`;
    this.peer = connection.peer;
    this.closed = connection.closed;
  }

  get remote(): string {
    return formatHostPort(this.#connection.remote);
  }

  get streams(): AsyncIterable<ByteStream> {
    return this.#connection.streams;
  }

  openStream(): Promise<ByteStream> {
    return this.#connection.openStream();
  }

  drain(): Promise<void> {
    return this.#connection.drain();
  }

  close(reason: CloseReason): void {
    this.#connection.close(reason);
  }

  stats(): SessionStats {
    const { sentBytes, receivedBytes, openStreams, rttMs } = this.#connection.stats();
    return { sentBytes, receivedBytes, openStreams, rttMs };
  }
}
