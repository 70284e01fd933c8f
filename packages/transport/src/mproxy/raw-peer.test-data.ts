import { systemClock, type ByteStream, type Clock, type CloseReason } from "@culvert/runtime";
import { memoryCarrierPair, waitUntil, type MemoryCarrier } from "@culvert/testkit";
import {
  encodeFrameHeader,
  formatControlMessage,
  MproxyDecoder,
  noConnection,
  type ConnectionId,
  type ControlMessage,
  type MproxyFrame,
  type MproxyFrameKind,
} from "@culvert/wire";
import type { Carrier } from "./carrier.ts";
import type { ConnectionMeta, TunnelDialect, TunnelSettings } from "./tunnel-api.ts";
import { MproxyTunnel } from "./tunnel.ts";

/** A peer that does what a test says, right or wrong. */
export class RawPeer {
  readonly carrier: Carrier;
  /** What our end has sent, whole frames. */
  readonly frames: { readonly frame: MproxyFrame; body: Buffer }[] = [];
  closed: CloseReason | undefined;
  readonly #decoder = new MproxyDecoder();

  constructor(carrier: Carrier) {
    this.carrier = carrier;
    carrier.start({
      data: (bytes) => this.#take(bytes),
      drain: () => undefined,
      alive: () => undefined,
      closed: (reason) => (this.closed = reason),
    });
  }

  sendBytes(...bytes: readonly Uint8Array[]): void {
    this.carrier.write(bytes);
  }

  send(kind: MproxyFrameKind, connection: ConnectionId, body: string | Uint8Array = ""): void {
    const bytes = Buffer.from(body);
    const meta = { service: "tcp", servicePort: "", name: "" };
    this.sendBytes(encodeFrameHeader({ kind, connection, ...meta, length: bytes.length }), bytes);
  }

  control(message: ControlMessage): void {
    this.send("control", noConnection, formatControlMessage(message));
  }

  /** A header that the encoder would refuse. */
  sendHeader(text: string): void {
    this.sendBytes(Uint8Array.of(254, text.length), Buffer.from(text));
  }

  /** Frames of one kind. */
  of(kind: MproxyFrameKind): { readonly frame: MproxyFrame; readonly body: Buffer }[] {
    return this.frames.filter(({ frame }) => frame.kind === kind);
  }

  /** Waits for the `count`th frame of a kind. */
  async next(kind: MproxyFrameKind, count = 1): Promise<{ frame: MproxyFrame; body: Buffer }> {
    return waitUntil(() => this.of(kind)[count - 1], { what: `${kind} frame ${count}` });
  }

  #take(bytes: Uint8Array): void {
    for (const event of this.#decoder.push(bytes)) {
      if (event.type === "frame") {
        this.frames.push({ frame: event.frame, body: Buffer.alloc(0) });
      } else if (event.type === "body") {
        const last = this.frames.at(-1);
        if (last !== undefined) last.body = Buffer.concat([last.body, event.bytes]);
      }
    }
  }
}

/** A tunnel of ours and a peer that follows the test. */
export interface TunnelAndPeer {
  readonly tunnel: MproxyTunnel;
  readonly peer: RawPeer;
  readonly carrier: MemoryCarrier;
  /** What the peer opened, in order. */
  readonly opened: { readonly meta: ConnectionMeta; readonly stream: ByteStream }[];
}

/** What a test may set. */
export interface TunnelAndPeerOptions {
  readonly dialect?: TunnelDialect;
  readonly settings?: Partial<TunnelSettings>;
  readonly clock?: Clock;
  /** Leaves connections forbidden. */
  readonly unproved?: boolean;
}

/** Our end listens, unless the dialect says otherwise; so the peer's ids are those of {@link diallerId}. */
export function tunnelAndPeer(options: TunnelAndPeerOptions = {}): TunnelAndPeer {
  const { dialect = "culvert-listener", settings, clock = systemClock, unproved = false } = options;
  const [near, far] = memoryCarrierPair();
  const tunnel = new MproxyTunnel({ carrier: near, clock }, { dialect, settings });
  const opened: TunnelAndPeer["opened"] = [];
  if (!unproved) tunnel.allowStreams((meta, stream) => void opened.push({ meta, stream }));
  return { tunnel, peer: new RawPeer(far), carrier: near, opened };
}

/** The dialler's id with this number. */
export function diallerId(number: number): ConnectionId {
  return { family: "culvert", address: "d", port: String(number) };
}

/** A public client's id. */
export function publicId(port: number): ConnectionId {
  return { family: "IPv4", address: "203.0.113.7", port: String(port) };
}

/** What goes with a public client's connection. */
export function publicMeta(port: number): ConnectionMeta {
  return { id: publicId(port), service: "https", servicePort: "443", name: "app.example.com" };
}
