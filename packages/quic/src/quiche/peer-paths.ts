import type { RemoteInfo } from "node:dgram";
import type { PathEvent, RecvInfo } from "@matrixai/quic/native/types.js";
import type { UdpAddress } from "../engine.ts";

interface Path {
  /** The address as the socket knows it, which may carry an IPv6 zone. */
  readonly remote: UdpAddress;
  readonly info: RecvInfo;
}

/**
 * The addresses one peer has been seen at, and how often it may show up at a new one: each is a path with a validation to quiche
 * (RFC 9000 §8.2, §9), which never gives up a path again.
 */
export class PeerPaths {
  readonly #local: UdpAddress;
  readonly #known: Path[] = [];
  #current: Path;
  #tokens = newPathBurst;
  #refilledMs: number;

  constructor(local: UdpAddress, remote: UdpAddress, nowMs: number) {
    this.#local = { host: withoutZone(local.host), port: local.port };
    this.#current = this.#path(remote);
    this.#known.push(this.#current);
    this.#refilledMs = nowMs;
  }

  /** Where the peer is now. */
  get remote(): UdpAddress {
    return this.#current.remote;
  }

  /** The same in the form quiche knows it by. */
  get quicheRemote(): UdpAddress {
    return this.#current.info.from;
  }

  /** Our end of every path, in the form quiche knows it by. */
  get local(): UdpAddress {
    return this.#local;
  }

  /** What quiche is to be told about a datagram from `from`; undefined if it is to be dropped. */
  admit(from: RemoteInfo, mayMove: boolean, nowMs: number): RecvInfo | undefined {
    const { remote } = this.#current;
    if (from.port === remote.port && from.address === remote.host) return this.#current.info;
    const known = this.#find(from.address, from.port);
    if (known !== undefined) return known.info;
    if (!mayMove || this.#known.length >= maxPaths || !this.#takeToken(nowMs)) return undefined;
    return this.#path({ host: from.address, port: from.port }).info;
  }

  /** Learns from an event of quiche; `from` is where the datagram that caused it came from, if one did. */
  handle(event: PathEvent, from: RemoteInfo | undefined): void {
    if (event.type === "New") {
      if (from === undefined) return;
      const remote = { host: from.address, port: from.port };
      if (this.#find(remote.host, remote.port) === undefined) this.#known.push(this.#path(remote));
    } else if (event.type === "PeerMigrated") {
      const path = this.#known.find(({ info }) => sameAddress(info.from, event.new));
      this.#current = path ?? this.#current;
    }
  }

  /**
   * Learns where quiche sends to now. It goes after the peer at once (RFC 9000 §9.3), and tells by an event only when the new address
   * has been validated, which a lost PATH_CHALLENGE can put off for ever.
   */
  follow(active: UdpAddress | undefined): void {
    if (active === undefined) return;
    const path = this.#known.find(({ info }) => sameAddress(info.from, active));
    this.#current = path ?? this.#current;
  }

  /** The paths the peer has left, or is not on yet. */
  others(): readonly RecvInfo[] {
    if (this.#known.length === 1) return noPaths;
    return this.#known.filter((path) => path !== this.#current).map(({ info }) => info);
  }

  /** The socket's address for a destination that quiche names. */
  destination(to: UdpAddress): UdpAddress {
    if (sameAddress(this.#current.info.from, to)) return this.#current.remote;
    return this.#known.find(({ info }) => sameAddress(info.from, to))?.remote ?? to;
  }

  #find(host: string, port: number): Path | undefined {
    return this.#known.find(({ remote }) => remote.port === port && remote.host === host);
  }

  #path(remote: UdpAddress): Path {
    const from = { host: withoutZone(remote.host), port: remote.port };
    return { remote, info: { from, to: this.#local } };
  }

  #takeToken(nowMs: number): boolean {
    const refill = (nowMs - this.#refilledMs) / newPathIntervalMs;
    this.#tokens = Math.min(newPathBurst, this.#tokens + refill);
    this.#refilledMs = nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}

const noPaths: readonly RecvInfo[] = [];

function sameAddress(left: UdpAddress, right: UdpAddress): boolean {
  return left.port === right.port && left.host === right.host;
}

/** quiche does not know IPv6 zones (`fe80::1%eth0`). */
function withoutZone(host: string): string {
  const percent = host.indexOf("%");
  return percent < 0 ? host : host.slice(0, percent);
}

/** Paths one connection may have in its life: a NAT that forgets the peer every few minutes stays usable for an hour. */
export const maxPaths = 16;
/** Datagrams from unknown addresses let through at once; one more every {@link newPathIntervalMs}. */
export const newPathBurst = 8;
const newPathIntervalMs = 1000;
