import type { Socket } from "node:net";
import { errorText, splice, TransportError, type Clock } from "@culvert/runtime";
import { firstBytesOrTurn } from "@culvert/transport";
import type { Connector, EntranceStatus } from "./entrance.ts";

/** What a {@link Forwarder} needs. */
export interface ForwarderDeps {
  readonly connector: Connector;
  readonly clock: Clock;
}

/** Where a connection is to go. */
export interface Destination {
  /** Name of the server (P4). */
  readonly server: string;
  /** A service name, a port, or `host:port`. */
  readonly target: string;
}

/** What a proxy protocol says to P1 before the bytes flow. */
export interface ForwardReplies {
  /** Bytes for P1 once the connection is open. */
  readonly opened?: Uint8Array;
  /** Tells P1 why not and closes. Not called where P1 is gone already. */
  readonly refused: (socket: Socket, error: Error) => void;
}

/** Carries accepted sockets of one entrance through a {@link Connector}, and counts. */
export class Forwarder {
  readonly #deps: ForwarderDeps;
  readonly #entrance: string;
  #forwarded = 0;
  #refused = 0;
  #lastRefusal: EntranceStatus["lastRefusal"];

  constructor(deps: ForwarderDeps, options: { readonly entrance: string }) {
    this.#deps = deps;
    this.#entrance = options.entrance;
  }

  /** Counters, as status listings show them. */
  get counts(): Pick<EntranceStatus, "forwarded" | "refused" | "lastRefusal"> {
    return {
      forwarded: this.#forwarded,
      refused: this.#refused,
      lastRefusal: this.#lastRefusal,
    };
  }

  /** Counts a connection that was turned away. */
  countRefusal(text: string): void {
    this.#refused += 1;
    this.#lastRefusal = { atMs: this.#deps.clock.wallNowMs(), text };
  }

  /**
   * Connects and copies until both directions have ended. Takes ownership of the socket, of which nobody may read meanwhile. A
   * reset by P1 aborts the attempt; its FIN does not, since a client that has said all it will may still wait for the answer.
   * Never rejects.
   */
  async forward(socket: Socket, destination: Destination, replies: ForwardReplies): Promise<void> {
    const controller = new AbortController();
    const onClose = (): void =>
      controller.abort(
        new TransportError("aborted", "the client closed before its connection opened"),
      );
    socket.once("close", onClose);
    const speaksFirst = replies.opened === undefined;
    try {
      if (speaksFirst) await firstBytesOrTurn(socket);
      const connection = await this.#deps.connector.connect({
        server: destination.server,
        target: destination.target,
        clientPort: socket.remotePort ?? 0,
        entrance: this.#entrance,
        early: speaksFirst ? socket : undefined,
        signal: controller.signal,
      });
      socket.off("close", onClose);
      this.#forwarded += 1;
      const { stream } = connection;
      if (replies.opened !== undefined && socket.writable) socket.write(replies.opened);
      connection.finished(await splice(socket, stream, connection.progress));
    } catch (error) {
      socket.off("close", onClose);
      this.countRefusal(errorText(error));
      if (socket.destroyed) return;
      replies.refused(socket, error instanceof Error ? error : new Error(errorText(error)));
    }
  }
}
