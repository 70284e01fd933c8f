import { parsePeerId, type PeerId } from "@culvert/identity";
import { InternalError } from "@culvert/runtime";
import type { UdpAddress } from "../engine.ts";

/** Who and where a peer is. */
export interface RemotePeer {
  readonly peer: PeerId;
  readonly remote: UdpAddress;
}

/**
 * Reads a multiaddr of the addon, `/ip4/192.0.2.7/udp/4433/quic-v1/p2p/12D3KooW…`.
 * @throws ConfigError `bad_key` where the peer's key is not Ed25519; InternalError `engine_fault` for another form.
 */
export function parseRemote(multiaddr: string): RemotePeer {
  const match = /^\/ip[46]\/([^/]+)\/udp\/(\d+)\/quic-v1\/p2p\//.exec(multiaddr);
  const [, host, port] = match ?? [];
  if (host === undefined || port === undefined) {
    throw new InternalError("engine_fault", `quinn names a peer as ${multiaddr}`);
  }
  return { peer: parsePeerId(remoteId(multiaddr)), remote: { host, port: Number(port) } };
}

/** The peer id in a multiaddr of the addon, of whatever kind of key. */
export function remoteId(multiaddr: string): string {
  return multiaddr.slice(multiaddr.lastIndexOf("/") + 1);
}
