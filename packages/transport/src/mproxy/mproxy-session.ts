import { BoundedQueue, LimitError, type ByteStream, type CloseReason } from "@culvert/runtime";
import type { PeerId } from "@culvert/identity";
import type { Session, SessionStats } from "../session.ts";
import { culvertId } from "./dialect-culvert-ids.ts";
import type { Tunnel, TunnelAgreement, TunnelStats } from "./tunnel-api.ts";

/** What a session over a tunnel is made from. */
export interface MproxySessionOptions {
  /** In one of Culvert's dialects, the peer's identity proved, connections not yet allowed; the session allows them and owns it. */
  readonly tunnel: Tunnel;
  readonly peer: PeerId;
  /** What the peer's hello said. */
  readonly agreement: TunnelAgreement;
  /** Streams the peer may have open at a time: as many may wait to be taken. */
  readonly maxStreams: number;
}

/** A {@link Session} over one M-PROXY tunnel (PROTOCOL.md §11). */
export class MproxySession implements Session {
  readonly transport: string;
  readonly peer: PeerId;
  readonly closed: Promise<CloseReason>;
  readonly streams: BoundedQueue<ByteStream>;
  readonly #tunnel: Tunnel;
  readonly #dialler: boolean;
  #opened = 0;

  constructor({ tunnel, peer, agreement, maxStreams }: MproxySessionOptions) {
    this.#tunnel = tunnel;
    this.#dialler = tunnel.dialect === "culvert-dialler";
    this.transport = `mproxy/${tunnel.carrier}`;
    this.peer = peer;
    this.streams = new BoundedQueue(Math.max(1, maxStreams));
    this.closed = tunnel.closed.then((reason) => {
      for (const untaken of this.streams.drain()) untaken.destroy();
      return reason;
    });
    tunnel.allowStreams((_meta, stream) => {
      if (this.streams.push(stream)) return;
      const data = { limit: maxStreams };
      stream.destroy(new LimitError("queue_full", "nobody takes the peer's streams", { data }));
    }, agreement);
  }

  get remote(): string {
    return this.#tunnel.remote;
  }

  openStream(): Promise<ByteStream> {
    return new Promise((resolve) => {
      const id = culvertId(this.#dialler, this.#opened + 1);
      resolve(this.#tunnel.open({ id, service: "tcp", servicePort: "", name: "" }));
      this.#opened += 1;
    });
  }

  drain(): Promise<void> {
    return this.#tunnel.drain();
  }

  close(reason: CloseReason): void {
    this.#tunnel.close(reason);
  }

  stats(): SessionStats {
    const { sentBytes, receivedBytes, openStreams, rttMs } = this.#tunnel.stats();
    return { sentBytes, receivedBytes, openStreams, rttMs };
  }

  /** What the tunnel below counts. */
  tunnelStats(): TunnelStats {
    return this.#tunnel.stats();
  }
}
