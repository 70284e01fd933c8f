import { chiselPeer } from "./chisel.ts";
import { frpPeer } from "./frp.ts";
import { gostPeer } from "./gost.ts";
import type { Peer } from "./peer.ts";
import { ratholePeer } from "./rathole.ts";
import { sshPeer } from "./ssh.ts";

export { sshPeer };

/** Everything ours is measured beside, the one whose ratio counts first. */
export const peers: readonly Peer[] = [
  sshPeer,
  chiselPeer,
  frpPeer("tcp"),
  frpPeer("quic"),
  ratholePeer,
  gostPeer("quic"),
  gostPeer("tls"),
];
