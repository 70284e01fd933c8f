import { createSocket, type Socket } from "node:dgram";
import { onTestFinished } from "vitest";

/** A NAT for UDP: every inner address gets an outer port of its own, until {@link Nat.rebind} gives it another. */
export class Nat {
  /** Whether everything is dropped, as by a firewall that lets no UDP out. */
  blocked = false;
  readonly #inner: Socket;
  readonly #relayPort: number;
  readonly #mappings = new Map<string, Socket>();
  readonly #retired: Socket[] = [];

  private constructor(inner: Socket, relayPort: number) {
    this.#inner = inner;
    this.#relayPort = relayPort;
    inner.on("message", (datagram, from) => {
      if (this.blocked) return;
      this.#outer(from.address, from.port).send(datagram, this.#relayPort, "127.0.0.1");
    });
    inner.on("error", () => undefined);
  }

  /** Opens one in front of a relay's UDP port, for as long as the test runs. */
  static async use(relayPort: number): Promise<Nat> {
    const inner = createSocket({ type: "udp4", recvBufferSize: bufferBytes });
    const nat = new Nat(inner, relayPort);
    await new Promise<void>((resolve) => inner.bind(0, "127.0.0.1", resolve));
    onTestFinished(() => {
      for (const socket of [inner, ...nat.#mappings.values(), ...nat.#retired]) socket.close();
    });
    return nat;
  }

  /** Where those behind it dial. */
  get port(): number {
    return this.#inner.address().port;
  }

  /** Forgets all mappings, as a NAT does that was switched off and on: the next packets leave from other ports. */
  rebind(): void {
    // The old sockets stay bound, so that no port is used a second time, and what still arrives there is lost.
    for (const socket of this.#mappings.values()) {
      socket.removeAllListeners("message");
      this.#retired.push(socket);
    }
    this.#mappings.clear();
  }

  #outer(address: string, port: number): Socket {
    const key = `${address}:${port}`;
    const known = this.#mappings.get(key);
    if (known !== undefined) return known;
    const socket = createSocket({ type: "udp4", recvBufferSize: bufferBytes });
    socket.on("error", () => undefined);
    socket.on("message", (datagram) => this.#inner.send(datagram, port, address));
    this.#mappings.set(key, socket);
    return socket;
  }
}

const bufferBytes = 4 * 1024 * 1024;
