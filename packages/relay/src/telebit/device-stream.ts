import { Duplex } from "node:stream";
import {
  TransportError,
  type ByteStream,
  type Clock,
  type Millis,
  type Timer,
} from "@culvert/runtime";

/** How a {@link DeviceStream} begins. */
export interface DeviceStreamOptions {
  readonly clock: Clock;
  /** Opens the connection at the device; what it throws destroys the stream. */
  readonly open: (firstBytes: Uint8Array | undefined) => ByteStream;
  /** How long to wait for bytes to open with: some servers speak first. */
  readonly firstBytesWait: Millis;
  /** How long to hold back what follows the first bytes, while the device has not answered. */
  readonly settleWait: Millis;
}

/**
 * A public connection on its way to a Telebit device (PROTOCOL.md §13.4). The real device must be spared two things that it does not survive: a
 * connection whose first bytes are not in the frame that opens it (with its ssh sniffing on, the process ends), and bytes that come
 * while it still dials the local service (it takes them for a second connection). So the connection is opened by its first bytes,
 * and what follows waits until the device has answered or had time to stop reading.
 */
export class DeviceStream extends Duplex {
  readonly #options: DeviceStreamOptions;
  #stream: ByteStream | undefined;
  #timer: Timer | undefined;
  /** What waits for the device to settle. */
  #held: (() => void) | undefined;
  #settled = false;
  #drained: (() => void) | undefined;

  constructor(options: DeviceStreamOptions) {
    super({ allowHalfOpen: true });
    this.#options = options;
    // The caller attaches its own; until then no peer may end the process.
    this.on("error", () => undefined);
    this.#timer = options.clock.setTimer(options.firstBytesWait, () => this.#open(undefined));
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    if (this.#stream !== undefined) {
      this.#whenSettled(() => this.#forward(chunk, done));
      return;
    }
    this.#open(chunk.subarray(0, firstBytesMax));
    if (chunk.length <= firstBytesMax) done();
    else this.#whenSettled(() => this.#forward(chunk.subarray(firstBytesMax), done));
  }

  override _final(done: () => void): void {
    const stream = this.#stream;
    if (stream === undefined) {
      // Not a byte was sent: the device need not know of it.
      this.#timer?.cancel();
      this.push(null);
      done();
      return;
    }
    stream.once("finish", done);
    stream.end();
  }

  override _read(): void {
    this.#stream?.resume();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#timer?.cancel();
    this.#held = undefined;
    this.#drained = undefined;
    this.#stream?.destroy(error ?? undefined);
    done(error);
  }

  #open(firstBytes: Uint8Array | undefined): void {
    if (this.destroyed) return;
    this.#timer?.cancel();
    let stream: ByteStream;
    try {
      stream = this.#options.open(firstBytes);
    } catch (error) {
      this.destroy(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    this.#stream = stream;
    this.#timer = this.#options.clock.setTimer(this.#options.settleWait, () => this.#settle());
    stream.on("error", (error) => this.destroy(error));
    stream.on("data", (chunk: Buffer) => {
      this.#settle();
      if (!this.push(chunk)) stream.pause();
    });
    stream.once("end", () => {
      this.#settle();
      this.push(null);
    });
    stream.on("drain", () => {
      const drained = this.#drained;
      this.#drained = undefined;
      drained?.();
    });
    stream.once("close", () => {
      if (stream.readableEnded && stream.writableFinished) return;
      this.destroy(stream.errored ?? new TransportError("stream_reset", "the device is gone"));
    });
  }

  #settle(): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#timer?.cancel();
    const held = this.#held;
    this.#held = undefined;
    held?.();
  }

  #whenSettled(action: () => void): void {
    if (this.#settled) action();
    else this.#held = action;
  }

  #forward(chunk: Uint8Array, done: () => void): void {
    if (this.#stream?.write(chunk) === false) this.#drained = done;
    else done();
  }
}

/** Fits into one frame of every real program. */
const firstBytesMax = 32 * 1024;
