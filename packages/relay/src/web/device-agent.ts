import { Agent } from "node:http";
import type { Duplex } from "node:stream";
import type { ByteStream } from "@culvert/runtime";

/**
 * Node's pool of connections, over streams of one device for one public connection. The streams end with the public connection,
 * so that a device never sees one client's requests on another's.
 */
export class DeviceAgent extends Agent {
  readonly #open: () => Promise<ByteStream>;

  constructor(open: () => Promise<ByteStream>) {
    super({ keepAlive: true, maxSockets: mostStreams, maxFreeSockets: mostIdleStreams });
    this.#open = open;
  }

  override createConnection(
    _options: unknown,
    callback?: (error: Error | null, stream: Duplex) => void,
  ): undefined {
    this.#open().then(
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
    return !stream.destroyed && stream.writable && stream.readable;
  }

  /** Nothing to prepare: see {@link keepSocketAlive}. */
  override reuseSocket(): void {
    // On purpose.
  }
}

/** Streams of one public connection to one device at a time. Requests beyond wait for their turn. */
const mostStreams = 32;
const mostIdleStreams = 4;
