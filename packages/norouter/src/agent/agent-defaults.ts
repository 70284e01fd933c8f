import { millis } from "@culvert/runtime";

/** What an agent allows itself where nobody says otherwise. */
export const agentDefaults = {
  /** From the first packet, or the look-up of the name, to the connection: what a person still waits for. */
  dialTimeout: millis(30_000),
  /** For a question by way of the mesh, connection included; resolvers give up after about as long. */
  meshQueryTimeout: millis(10_000),
  /** For one server of the system; glibc waits as long. */
  upstreamQueryTimeout: millis(5_000),
  /** For a name that the system looks up. */
  lookupTimeout: millis(10_000),
  /** From accepting to a whole SOCKS request, as NoRouter allows. */
  handshakeTimeout: millis(10_000),
  /** For a client that was refused to take its answer. */
  lingerTimeout: millis(2_000),
  /** For connections to be ended and files to be restored when the agent ends. */
  closeTimeout: millis(5_000),
  /** For the last frames to be written when the agent ends. */
  flushTimeout: millis(1_000),
  /** A DNS connection may rest this long between two questions (RFC 7766 §6.2.3 asks for seconds). */
  dnsIdleTimeout: millis(30_000),
  /** Connections open at once of one listener, or of the bastion as a whole; further ones are reset. */
  maxConnections: 4_096,
  /** Questions the built-in DNS works at, at once; further ones are told to try elsewhere. */
  maxDnsQueries: 256,
  /** Names the system looks up for the proxies, at once; the C library does few at a time, each for up to ten seconds. */
  maxLookups: 256,
  /** Connections the built-in DNS serves at once. */
  maxDnsConnections: 256,
  /** Packets that may arrive while a configure is at work: as many as NoRouter's own queue holds. */
  maxHeldPackets: 256,
  /** Addresses that a bastion's own DNS answered with and that it therefore lets through. */
  maxAnsweredAddresses: 4_096,
  /** Silence after which the other end of a connection in the virtual network is asked whether it lives: agents are restarted. */
  meshKeepAliveMs: 60_000,
  /** Warnings of one kind in a minute, since peers provoke them. */
  warningRate: { burst: 10, interval: millis(60_000) },
} as const;
