import { createSocket, type Socket } from "node:dgram";
import { errorText, systemCode, TransportError } from "@culvert/runtime";
import type { Log } from "@culvert/telemetry";
import { udpAnswer } from "./udp-answer.ts";

/** Where a {@link DnsUdpListener} listens and who answers. */
export interface DnsUdpListenerOptions {
  readonly address: string;
  readonly port: number;
  readonly log: Log;
  /** Never rejects; undefined says nothing. */
  readonly answer: (query: Uint8Array) => Promise<Uint8Array | undefined>;
}

/** Answers DNS queries that come to a UDP socket of the system. */
export class DnsUdpListener {
  readonly #socket: Socket;

  private constructor(socket: Socket) {
    this.#socket = socket;
  }

  /**
   * Binds.
   * @throws TransportError `address_in_use` or `address_unavailable`.
   */
  static open({ address, port, log, answer }: DnsUdpListenerOptions): Promise<DnsUdpListener> {
    const socket = createSocket("udp4");
    return new Promise((resolve, reject) => {
      const onError = (error: Error): void => {
        const code = systemCode(error) === "EADDRINUSE" ? "address_in_use" : "address_unavailable";
        socket.close();
        reject(
          new TransportError(code, `UDP ${address}:${port}: ${errorText(error)}`, { cause: error }),
        );
      };
      socket.once("error", onError);
      socket.on("message", (query, { address: from, port: fromPort }) => {
        void udpAnswer(query, answer).then((bytes) => {
          // A client that is gone, or a socket that was closed meanwhile, needs no answer.
          if (bytes !== undefined && listener.#isOpen) socket.send(bytes, fromPort, from, ignore);
        });
      });
      const listener = new DnsUdpListener(socket);
      socket.bind({ address, port }, () => {
        socket.off("error", onError);
        socket.on("error", (error) => log.warn("entrance.fault", { entrance: "dns udp", error }));
        resolve(listener);
      });
    });
  }

  #isOpen = true;

  /** The bound address, `127.0.42.101:10053`. */
  get address(): string {
    const { address, port } = this.#socket.address();
    return `${address}:${port}`;
  }

  /** Frees the port; answers that are still being made are dropped. */
  close(): void {
    this.#isOpen = false;
    this.#socket.close();
  }
}

const ignore = (): void => undefined;
