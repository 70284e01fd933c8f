import type { RemoteInfo } from "node:dgram";
import type { RecvInfo } from "@matrixai/quic/native/types.js";
import type { GuardedConnection } from "./guarded-connection.ts";
import type { PeerPaths } from "./peer-paths.ts";
import type { UdpSocket } from "./udp-socket.ts";

/** What a {@link PathKeeper} needs. */
export interface PathKeeperDeps {
  readonly link: GuardedConnection;
  readonly paths: PeerPaths;
  readonly socket: UdpSocket;
}

/** Keeps what we know of a peer's paths in step with quiche, and gets old ones their probes. */
export class PathKeeper {
  readonly #deps: PathKeeperDeps;

  constructor(deps: PathKeeperDeps) {
    this.#deps = deps;
  }

  /** quiche took in a datagram from `from`, which it knows as `info`. Returns whether that is not where the peer was. */
  heard(info: RecvInfo, from: RemoteInfo): boolean {
    const { link, paths } = this.#deps;
    if (info.from === paths.quicheRemote) return false;
    this.#drainEvents(from);
    paths.follow(link.activePath()?.peer);
    return true;
  }

  /** quiche may have learned of paths without a datagram from a new address: some came in, or a deadline passed. */
  update(): void {
    this.#drainEvents(undefined);
  }

  /**
   * Sends the probes of paths the peer has left to where it is now. quiche 0.18 finds out what was lost on a path only when
   * something sent on it is acknowledged, and on a path that is dead nothing ever would be.
   */
  probeOld(): void {
    const { link, paths, socket } = this.#deps;
    for (const path of paths.others()) {
      const slot = socket.takeSlot();
      if (slot === undefined) return;
      const length = link.sendOnPath(slot.buffer, path);
      if (length > 0) socket.send(slot, length, paths.remote);
      else socket.returnSlot(slot);
    }
  }

  /** Events pile up in quiche until they are taken. */
  #drainEvents(from: RemoteInfo | undefined): void {
    const { link, paths } = this.#deps;
    for (;;) {
      const event = link.nextPathEvent();
      if (event === null) return;
      paths.handle(event, from);
    }
  }
}
