import { Agent } from "node:http";
import type { Duplex } from "node:stream";
import type { ByteStream } from "@culvert/runtime";
import type { StreamGate } from "./stream-gate.ts";

/**
 * Node's pool of connections, over streams of one device for one public connection. The streams end with the public connection,
 * so that a device never sees one client's requests on another's.
 */
export class DeviceAgent extends Agent {
  readonly #open: () => Promise<ByteStream>;
  readonly #gate: StreamGate;
  readonly #leaveGate: () => void;

  /** The gate is that of all who go to the same device for the same name. */
  constructor(open: () => Promise<ByteStream>, gate: StreamGate) {
    super({ keepAlive: true, maxSockets: mostStreams, maxFreeSockets: mostIdleStreams });
    this.#open = open;
    this.#gate = gate;
    this.#leaveGate = gate.addHolder(() => this.#giveUpIdle());
  }

  /** To be called before each request: those beyond what the gate lets in wait here, where they get the next stream that is free. */
  tune(): void {
    this.maxSockets = Math.min(mostStreams, this.#gate.limit);
  }

  /** A stream was cut off before it answered: the device has too many. */
  cut(): void {
    this.#gate.cut();
    this.tune();
  }

  override destroy(): void {
    this.#leaveGate();
    super.destroy();
  }

  override createConnection(
    _options: unknown,
    callback?: (error: Error | null, stream: Duplex) => void,
  ): undefined {
    this.#enterAndOpen().then(
      (stream) => {
        // Node ends its side of a socket by itself; of another stream nobody would.
        stream.once("end", () => stream.end());
        callback?.(null, stream);
      },
      (error: unknown) => {
        const failure = error instanceof Error ? error : new Error(String(error));
        // Node's types ask for a stream even where there is an error.
        (callback as ((error: Error) => void) | undefined)?.(failure);
      },
    );
  }

  /** Keeps an idle stream; Node's own version asks for the methods of a socket. */
  override keepSocketAlive(stream: Duplex): boolean {
    return !stream.destroyed && stream.writable && stream.readable && !this.#gate.crowded;
  }

  /** Nothing to prepare: see {@link keepSocketAlive}. */
  override reuseSocket(): void {
    // On purpose.
  }

  #giveUpIdle(): void {
    for (const streams of Object.values(this.freeSockets)) {
      for (const stream of [...(streams ?? [])]) stream.destroy();
    }
  }

  async #enterAndOpen(): Promise<ByteStream> {
    const leave = await this.#gate.enter();
    try {
      const stream = await this.#open();
      // The first of them, so that whoever hears of a cut finds it gone.
      for (const event of ["error", "end", "close"]) stream.once(event, leave);
      return stream;
    } catch (error) {
      leave();
      throw error;
    }
  }
}

/** Streams of one public connection to one device at a time. Requests beyond wait for their turn. */
const mostStreams = 32;
const mostIdleStreams = 4;
