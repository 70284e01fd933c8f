import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { isIPv6 } from "node:net";
import {
  errorText,
  millis,
  releaseBuffer,
  systemCode,
  TransportError,
  type Clock,
} from "@culvert/runtime";
import type { UdpAddress } from "../engine.ts";

/** How to open a {@link UdpSocket}. */
export interface UdpSocketOptions {
  /** Where to bind; port 0 takes any free port. */
  readonly bind: UdpAddress;
  /** The only peer to talk to; without it, anyone. */
  readonly connect?: UdpAddress | undefined;
  /** Kernel buffers to ask for, bytes. */
  readonly bufferBytes: number;
  /** Largest datagram to send, bytes. */
  readonly datagramBytes: number;
}

/** What a socket tells its owner. */
export interface UdpSocketHandlers {
  /** The datagram's bytes may be overwritten, and are gone when this returns: what is to stay is copied. */
  onDatagram(datagram: Buffer, from: RemoteInfo): void;
  /** The kernel refused to send or receive; the socket stays open. */
  onError(error: Error): void;
}

/** A buffer to fill and hand to {@link UdpSocket.send}, or to give back. */
export interface SendSlot {
  readonly buffer: Buffer;
}

/** Somebody who waits for a free {@link SendSlot}. */
export interface SlotWaiter {
  slotsFree(): void;
}

interface PooledSlot extends SendSlot {
  readonly sent: (error: Error | null) => void;
}

/**
 * A UDP socket that allocates nothing per datagram beyond what node:dgram does: send buffers come from a pool, which also bounds
 * how many datagrams may be under way to the kernel.
 */
export class UdpSocket {
  /** Where the socket is bound, with the port that was taken. */
  readonly address: UdpAddress;
  readonly #socket: Socket;
  readonly #connected: boolean;
  readonly #free: PooledSlot[] = [];
  readonly #waiters = new Set<SlotWaiter>();
  readonly #starved = new Set<SlotWaiter>();
  readonly #slotBytes: number;
  #slots = 0;
  #handlers: UdpSocketHandlers | undefined;
  #onIdle: (() => void) | undefined;
  #closed = false;

  private constructor(socket: Socket, options: UdpSocketOptions) {
    this.#socket = socket;
    this.#connected = options.connect !== undefined;
    this.#slotBytes = options.datagramBytes;
    const { address: host, port } = socket.address();
    this.address = { host, port };
    socket.on("message", (datagram, from) => {
      this.#handlers?.onDatagram(datagram, from);
      releaseBuffer(datagram);
    });
    socket.on("error", (error) => this.#handlers?.onError(error));
  }

  /**
   * Opens a socket and asks for its buffers.
   * @throws TransportError `address_in_use` or `address_unavailable`, naming the address.
   */
  static async open(options: UdpSocketOptions): Promise<UdpSocket> {
    const { bind, connect, bufferBytes } = options;
    const ipv6 = isIPv6(bind.host);
    const socket = createSocket({ type: ipv6 ? "udp6" : "udp4", ipv6Only: ipv6, lookup: literal });
    try {
      await settled(socket, "listening", () =>
        socket.bind({ address: bind.host, port: bind.port }),
      );
      if (connect !== undefined) {
        await settled(socket, "connect", () => socket.connect(connect.port, connect.host));
      }
    } catch (error) {
      socket.close();
      throw openingError(error, connect ?? bind);
    }
    askForBuffers(socket, bufferBytes);
    return new UdpSocket(socket, options);
  }

  /** Buffer sizes the kernel granted, bytes, as this platform reports them. */
  grantedBuffers(): { readonly receive: number; readonly send: number } {
    return { receive: this.#socket.getRecvBufferSize(), send: this.#socket.getSendBufferSize() };
  }

  /** Starts listening; datagrams before this are dropped. */
  handle(handlers: UdpSocketHandlers): void {
    this.#handlers = handlers;
  }

  /** How many slots {@link takeSlot} would give now. */
  get freeSlots(): number {
    return this.#closed ? 0 : Math.max(0, this.#free.length + maxSlots - this.#slots);
  }

  /**
   * Takes a send buffer; undefined when all are under way, and then {@link awaitSlot} tells when to try again. A last word, as
   * when a connection closes, does not wait.
   */
  takeSlot(lastWord = false): SendSlot | undefined {
    if (this.#closed) return undefined;
    const slot = this.#free.pop();
    if (slot !== undefined) return slot;
    if (this.#slots >= maxSlots && !lastWord) return undefined;
    this.#slots += 1;
    const created: PooledSlot = {
      buffer: Buffer.allocUnsafeSlow(this.#slotBytes),
      sent: (error) => this.#sent(created, error),
    };
    return created;
  }

  /** Gives an unused slot back. */
  returnSlot(slot: SendSlot): void {
    // Those of last words are not kept.
    if (this.#slots > maxSlots) this.#slots -= 1;
    else this.#free.push(slot as PooledSlot);
  }

  /** Calls back once, when slots are free again; first those who got nothing in this turn. */
  awaitSlot(waiter: SlotWaiter, gotNothing: boolean): void {
    if (gotNothing) this.#starved.add(waiter);
    else this.#waiters.add(waiter);
  }

  /** Forgets a waiter. */
  forget(waiter: SlotWaiter): void {
    this.#waiters.delete(waiter);
    this.#starved.delete(waiter);
  }

  /** Sends the first `length` bytes of a slot, which comes free by itself. `to` is not looked at if the socket is connected. */
  send(slot: SendSlot, length: number, to: UdpAddress): void {
    const { buffer, sent } = slot as PooledSlot;
    try {
      if (this.#connected) this.#socket.send(buffer, 0, length, sent);
      else this.#socket.send(buffer, 0, length, to.port, to.host, sent);
    } catch (error) {
      sent(error instanceof Error ? error : new Error(errorText(error)));
    }
  }

  /** Closes the socket once the kernel has everything that was sent, or after {@link maxFlush}. */
  async closeWhenFlushed(clock: Clock): Promise<void> {
    this.#handlers = undefined;
    if (!this.#closed && this.#free.length < this.#slots) {
      await new Promise<void>((resolve) => {
        const timer = clock.setTimer(maxFlush, resolve);
        this.#onIdle = () => {
          timer.cancel();
          resolve();
        };
      });
    }
    this.close();
  }

  /** Closes the socket at once; what the kernel does not have yet is lost. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#handlers = undefined;
    this.#waiters.clear();
    this.#starved.clear();
    this.#socket.close();
    this.#onIdle?.();
  }

  #sent(slot: PooledSlot, error: Error | null): void {
    this.returnSlot(slot);
    if (error !== null) this.#handlers?.onError(error);
    if (this.#free.length === this.#slots) this.#onIdle?.();
    if (this.#waiters.size + this.#starved.size === 0 || this.freeSlots < maxSlots / 2) return;
    const waiters = [...this.#starved, ...this.#waiters];
    this.#waiters.clear();
    this.#starved.clear();
    for (const waiter of waiters) waiter.slotsFree();
  }
}

/** Every host is a literal here, so nothing is looked up. */
const literal = (
  hostname: string,
  _options: unknown,
  callback: (error: null, address: string, family: number) => void,
  // Once for each datagram, where isIPv6 would be a long regular expression.
): void => callback(null, hostname, hostname.includes(":") ? 6 : 4);

function settled(socket: Socket, event: "listening" | "connect", start: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const onDone = (): void => {
      socket.off("error", onError);
      resolve();
    };
    const onError = (error: Error): void => {
      socket.off(event, onDone);
      reject(error);
    };
    socket.once(event, onDone);
    socket.once("error", onError);
    start();
  });
}

function askForBuffers(socket: Socket, bytes: number): void {
  for (const ask of ["setRecvBufferSize", "setSendBufferSize"] as const) {
    try {
      socket[ask](bytes);
    } catch {
      // Some kernels refuse what Linux cuts down. What was granted is looked at afterwards.
    }
  }
}

function openingError(error: unknown, { host, port }: UdpAddress): TransportError {
  const code = systemCode(error);
  const inUse = code === "EADDRINUSE";
  const text = inUse
    ? `UDP ${host} port ${port} is in use`
    : `UDP ${host} port ${port}: ${errorText(error)}`;
  return new TransportError(inUse ? "address_in_use" : "address_unavailable", text, {
    data: { host, port, errno: code },
    cause: error,
  });
}

/** Datagrams under way to the kernel at a time: 1 MiB of the largest, a tenth of a millisecond of work each way. */
const maxSlots = 64;
/** Longest wait for the kernel when closing. */
const maxFlush = millis(500);
