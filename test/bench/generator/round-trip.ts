import { connect, type Socket } from "node:net";
import { millis, systemClock } from "@culvert/runtime";
import { quantile } from "../statistics.ts";
import type { Address } from "../peers/peer.ts";
import type { Latencies } from "./operations.ts";

/** A connection on which one message at a time goes there and back. */
export class EchoConnection {
  readonly socket: Socket;
  #expected = 0;
  #onBack: (() => void) | undefined;
  #onOver: ((error: Error) => void) | undefined;
  #over: Error | undefined;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.#expected -= chunk.length;
      if (this.#expected <= 0) this.#onBack?.();
    });
    const over = (error: Error): void => {
      this.#over ??= error;
      this.#onOver?.(this.#over);
    };
    socket.once("connect", () => {
      if (metItself(socket)) socket.destroy(new Error("connected to itself: nobody listens there"));
    });
    socket.on("error", over);
    socket.on("end", () => {
      over(new Error("ended by the other side"));
    });
    socket.on("close", () => {
      over(new Error("closed"));
    });
  }

  /** Starts to connect; the first round trip waits for it. */
  static start(address: Address): EchoConnection {
    return new EchoConnection(connect({ ...address, noDelay: true }));
  }

  /** Sends the message and resolves once as many bytes are back; rejects when the connection is over or `withinMs` have passed. */
  roundTrip(message: Buffer, withinMs: number): Promise<void> {
    if (this.#over !== undefined) return Promise.reject(this.#over);
    this.#expected = message.length;
    return new Promise<void>((resolve, reject) => {
      const timer = systemClock.setTimer(millis(withinMs), () => {
        reject(new Error(`no answer within ${withinMs} ms`));
      });
      this.#onBack = () => {
        timer.cancel();
        resolve();
      };
      this.#onOver = (error) => {
        timer.cancel();
        reject(error);
      };
      this.socket.write(message);
    });
  }

  /** FIN, and the socket is forgotten; whatever still comes is dropped. */
  end(): void {
    this.#onBack = undefined;
    this.#onOver = undefined;
    this.socket.end();
    // A forwarder that never answers the FIN must not keep descriptors here.
    const timer = systemClock.setTimer(
      millis(5_000),
      () => {
        this.socket.destroy();
      },
      { unref: true },
    );
    this.socket.once("close", () => {
      timer.cancel();
    });
  }
}

/**
 * Whether a connected socket is its own peer. The kernel joins a connection to itself where nobody listens at a port of this machine
 * and the port that the connection was given happens to be the same; it would pass for an echo, and keep the listener from its port.
 */
export function metItself({ localPort, remotePort, localAddress, remoteAddress }: Socket): boolean {
  return localPort === remotePort && localAddress === remoteAddress;
}

/** Count, median and 99th percentile. */
export function latencies(samples: readonly number[]): Latencies {
  return { count: samples.length, p50: quantile(samples, 0.5), p99: quantile(samples, 0.99) };
}

/** One byte: what a new connection carries before it counts as made. */
export const oneByte = Buffer.from("x");
