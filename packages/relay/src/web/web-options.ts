import { millis, type Millis } from "@culvert/runtime";
import type { HostPort } from "@culvert/transport";

/** Bounds of the public entrance; each is named in the metric or log of what it refuses. */
export interface WebLimits {
  /** Connections whose purpose is not known yet, in all: first bytes and TLS handshakes under way. */
  readonly handshakes: number;
  /** The same, of one address; an IPv6 address counts by its /64. */
  readonly handshakesPerAddress: number;
  /** Public connections in all. */
  readonly connections: number;
  /** Public connections of one address. */
  readonly connectionsPerAddress: number;
  /** Names in all, of all devices. */
  readonly names: number;
  readonly namesPerDevice: number;
  readonly portsPerDevice: number;
  /** Largest ClientHello, and largest head of a request, bytes. */
  readonly headBytes: number;
  /** How long a client may take to say whom it wants, and again for its TLS handshake and for each later request head. */
  readonly headDeadline: Millis;
  /** How long a device may take to open a stream. */
  readonly openTimeout: Millis;
  /** Silence after which an HTTP connection or request is given up. WebSockets and passed TLS may be silent for ever. */
  readonly idleTimeout: Millis;
  /** Silence between two requests after which a client's connection is closed. */
  readonly keepAlive: Millis;
  /** Requests of one HTTP/2 connection at a time. */
  readonly requestsPerConnection: number;
}

/** Defaults of {@link WebLimits}. */
export const webLimitDefaults: WebLimits = {
  handshakes: 512,
  // Several people behind one NAT, each with a browser that opens six connections at once.
  handshakesPerAddress: 64,
  connections: 20_000,
  connectionsPerAddress: 2_000,
  names: 10_000,
  namesPerDevice: 1_000,
  portsPerDevice: 100,
  headBytes: 16_384,
  headDeadline: millis(10_000),
  // Above the server's own time-out for dialling its target, so that its better answer arrives first.
  openTimeout: millis(15_000),
  idleTimeout: millis(300_000),
  keepAlive: millis(60_000),
  requestsPerConnection: 100,
};

/** PEM files of a certificate chain and its key, read again when they change. */
export interface CertificateFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

/** How certificates are got by ACME (RFC 8555). */
export interface AcmeOptions {
  /** URL of the ACME server's directory. */
  readonly directory: string;
  /** Where the ACME server may write to. */
  readonly email: string | undefined;
  /** Folder of the account and of the certificates; made if it is missing, for its owner alone. */
  readonly stateDir: string;
}

/** What the public entrance is told. */
export interface WebOptions {
  /** Listeners for TLS. */
  readonly https: readonly HostPort[];
  /** Listeners for plain HTTP. */
  readonly http: readonly HostPort[];
  /** Listeners for sessions by WebSocket without TLS; no public name is served there. */
  readonly plain: readonly HostPort[];
  /**
   * The relay's own names; empty = all that nobody serves, on which sessions, Telebit devices and their documents are found by TLS, and
   * 404 otherwise. A connection without a name, or to an address, is its own too.
   */
  readonly names: readonly string[];
  readonly certificates: readonly CertificateFiles[];
  /** Undefined = no ACME. */
  readonly acme: AcmeOptions | undefined;
  readonly limits: WebLimits;
}
