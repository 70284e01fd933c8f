import {
  BoundedQueue,
  LimitError,
  TransportError,
  type ByteStream,
  type CloseReason,
} from "@culvert/runtime";
import type { PeerId } from "@culvert/identity";
import type { Netstack, TcpConnection } from "@culvert/netstack";
import type { Tunnel } from "../mproxy/tunnel-api.ts";
import type { Session, SessionStats } from "../session.ts";
import { norouterAddresses, streamOpenTimeout } from "./norouter-defaults.ts";
import type { PacketPipe, PacketPipeStats } from "./packet-pipe.ts";

/** What a {@link NorouterSession} is made from; all of it is the session's from then on. */
export interface NorouterSessionOptions {
  readonly pipe: PacketPipe;
  readonly stack: Netstack;
  /** The control connection, the peer's identity proved on it. */
  readonly control: Tunnel;
  readonly peer: PeerId;
  readonly role: "dialler" | "listener";
  /** Where the peer is, for logs and status: `pid 4711`. */
  readonly remote: string;
  /** Streams the peer may have open at a time: as many may wait to be taken. */
  readonly maxStreams: number;
  /** Streams the peer allows us. */
  readonly peerMaxStreams: number;
}

/**
 * A {@link Session} over IP packets in a pipe: each stream is a TCP connection between two netstacks, and what the ends have to tell
 * each other besides (pings, goodbye) goes over a control connection of its own (PROTOCOL.md §14).
 */
export class NorouterSession implements Session {
  readonly transport = "norouter";
  readonly peer: PeerId;
  readonly remote: string;
  readonly closed: Promise<CloseReason>;
  readonly streams: BoundedQueue<ByteStream>;
  readonly #options: NorouterSessionOptions;
  readonly #open = new Set<TcpConnection>();
  #ours = 0;
  #theirs = 0;
  #over: CloseReason | undefined;

  constructor(options: NorouterSessionOptions) {
    this.#options = options;
    const { stack, control, peer, remote, maxStreams, role } = options;
    this.peer = peer;
    this.remote = remote;
    this.streams = new BoundedQueue(Math.max(1, maxStreams));
    stack.listen(
      { address: norouterAddresses[role], port: norouterAddresses.streamPort },
      { backlog: Math.max(1, maxStreams) },
      (stream) => this.#accept(stream),
    );
    this.closed = control.closed.then((reason) => {
      this.#finish(reason);
      return reason;
    });
    // The first round trip is measured at once.
    void control.drain();
  }

  async openStream(): Promise<ByteStream> {
    const over = this.#closedError();
    if (over !== undefined) throw over;
    const { stack, role, peerMaxStreams } = this.#options;
    if (this.#ours >= peerMaxStreams) {
      throw new LimitError(
        "too_many_streams",
        `the peer allows ${peerMaxStreams} streams at a time`,
        { data: { limit: peerMaxStreams } },
      );
    }
    this.#ours += 1;
    const left = (): void => void (this.#ours -= 1);
    const address = norouterAddresses[role === "dialler" ? "listener" : "dialler"];
    const remote = { address, port: norouterAddresses.streamPort };
    const stream = await stack
      .connect(remote, { timeoutMs: streamOpenTimeout })
      .catch((error: unknown) => {
        left();
        throw this.#closedError() ?? error;
      });
    this.#hold(stream, left);
    const late = this.#closedError();
    if (late === undefined) return stream;
    stream.destroy();
    throw late;
  }

  async drain(): Promise<void> {
    const flying = [...this.#open].filter((stream) => stream.writableEnded);
    await Promise.race([Promise.all(flying.map(delivered)), this.closed]);
  }

  close(reason: CloseReason): void {
    if (this.#over !== undefined) return;
    const { control, pipe } = this.#options;
    // The goodbye does not wait behind bytes that nobody will read.
    pipe.clear();
    control.close(reason);
    this.#finish(reason);
  }

  stats(): SessionStats {
    const { pipe, control } = this.#options;
    const { sentBytes, receivedBytes } = pipe.stats();
    return {
      sentBytes,
      receivedBytes,
      openStreams: this.#open.size,
      rttMs: control.stats().rttMs,
    };
  }

  /** What the pipe below counts. */
  pipeStats(): PacketPipeStats {
    return this.#options.pipe.stats();
  }

  #accept(stream: TcpConnection): void {
    const { maxStreams } = this.#options;
    this.#theirs += 1;
    this.#hold(stream, () => (this.#theirs -= 1));
    if (this.#over === undefined && this.#theirs <= maxStreams && this.streams.push(stream)) return;
    stream.destroy();
  }

  #hold(stream: TcpConnection, left: () => void): void {
    // For its whole life, whoever else listens: between two owners a failure must harm nobody.
    stream.on("error", () => undefined);
    this.#open.add(stream);
    stream.once("close", () => {
      this.#open.delete(stream);
      left();
    });
  }

  /** Why nothing can be opened any more, if that is so. */
  #closedError(): TransportError | undefined {
    return this.#over === undefined ? undefined : closedError(this.#over);
  }

  #finish(reason: CloseReason): void {
    if (this.#over !== undefined) return;
    this.#over = reason;
    for (const untaken of this.streams.drain()) untaken.destroy();
    for (const stream of this.#open) stream.destroy(closedError(reason));
    endLink(this.#options, reason);
  }
}

/** Ends what is below a session once the goodbye, which its control connection has just been given, is on its way. */
export function endLink(
  { pipe, stack }: { readonly pipe: PacketPipe; readonly stack: Netstack },
  reason: CloseReason,
): void {
  // After the stack's turn, which sends what it was given.
  setImmediate(() => {
    pipe.close(reason);
    stack.close(reason);
  });
}

/** A connection finishes when the peer's stack has acknowledged FIN, and with it all before. */
function delivered(stream: TcpConnection): Promise<void> {
  if (stream.writableFinished || stream.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    stream.once("finish", resolve);
    stream.once("close", resolve);
  });
}

function closedError(reason: CloseReason): TransportError {
  return new TransportError("connection_closed", `the session is closed: ${reason.text}`, {
    data: { by: reason.by, code: reason.code },
  });
}
