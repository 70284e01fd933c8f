import type { ByteStream } from "@culvert/runtime";

/** One end of a public connection, as its socket tells it. */
export interface PublicAddress {
  /** Node's own words, verbatim: `IPv4` or `IPv6`; an IPv4 client of a dual-stack listener is `IPv6` with `::ffff:…`. */
  readonly family: string;
  readonly address: string;
  readonly port: number;
}

/** A connection from the internet that is handed to a device. */
export interface PublicConnection {
  /**
   * What the bytes are: `https` TLS as the client sent it, its ClientHello first; `http` HTTP/1.1 in clear, although the client
   * may have come by TLS that was ended at the relay; `tcp` anything else.
   */
  readonly service: "https" | "http" | "tcp";
  /** The name asked for, lower case, a valid host name of at most 253 characters; empty where a port was asked for. */
  readonly name: string;
  /** Port of the relay's listener. */
  readonly servicePort: number;
  /** Whether the client came by TLS, and who ends it. */
  readonly tls: "none" | "passed" | "ended";
  readonly remote: PublicAddress;
  readonly local: PublicAddress;
}

/** Who takes public connections: a server attached to this relay, or a Telebit device. */
export interface PublicDevice {
  /** For logs and status. */
  readonly name: string;
  /** Whether {@link open} can succeed now. A device may stay in the tables while it is away: its names answer 502 then. */
  readonly connected: boolean;
  /**
   * Opens a stream for a connection; the caller owns it. What is written to it reaches the local service, and a failure of
   * either side is a reset of the other. A service that reset at once is no failure here: its stream is destroyed already.
   * @throws TransportError or LimitError where the device is away, refuses, or has no room; `aborted` when the signal fires.
   */
  open(
    connection: PublicConnection,
    options: { readonly signal: AbortSignal },
  ): Promise<ByteStream>;
}
