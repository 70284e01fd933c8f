import { Agent, type ClientRequest } from "node:http";
import type { Duplex } from "node:stream";
import { TransportError, type ByteStream } from "@culvert/runtime";
import { asError } from "./as-error.ts";
import type { GatePass, StreamGate, Turn } from "./stream-gate.ts";

/**
 * Node's pool of connections, over streams of one device for one public connection. The streams end with the public connection,
 * so that a device never sees one client's requests on another's. Nobody waits in Node's own queue, which knows no turns and no ends:
 * each request takes its turn at the gate first.
 */
export class DeviceAgent extends Agent {
  readonly #open: () => Promise<ByteStream>;
  readonly #pass: GatePass;

  /** The gate is that of all who go to the same device for the same name; the visitor is whom it counts this connection to. */
  constructor(open: () => Promise<ByteStream>, gate: StreamGate, visitor: string) {
    super({ keepAlive: true, maxFreeSockets: mostIdleStreams });
    this.#open = open;
    this.#pass = gate.join(visitor, () => this.#giveUpIdle());
  }

  /**
   * Waits until one more request may go to the device.
   * @throws LimitError `queue_full` where too many wait; TransportError `aborted` when the signal fires.
   */
  turn(signal: AbortSignal): Promise<Turn> {
    return this.#pass.enter(signal);
  }

  override destroy(): void {
    this.#pass.leave();
    super.destroy();
  }

  override createConnection(
    _options: unknown,
    callback?: (error: Error | null, stream: Duplex) => void,
  ): undefined {
    // Node's types ask for a stream even where there is an error.
    const fail = callback as (error: Error) => void;
    this.#open().then(
      (stream) => {
        // Node waits for ever for a stream that has closed before.
        if (stream.destroyed) {
          fail(cutBefore(stream));
          return;
        }
        // Node ends its side of a socket by itself; of another stream nobody would.
        stream.once("end", () => stream.end());
        callback?.(null, stream);
      },
      (error: unknown) => fail(asError(error)),
    );
  }

  /** Keeps an idle stream; Node's own version asks for the methods of a socket. */
  override keepSocketAlive(stream: Duplex): boolean {
    return !stream.destroyed && stream.writable && stream.readable && this.#pass.mayKeepIdle();
  }

  /** Tells the request so: one cut off now may have met an idle stream's end, which says nothing of too many. */
  override reuseSocket(stream: Duplex, request: ClientRequest): void {
    // Node's own version asks for this one method of a socket.
    super.reuseSocket("ref" in stream ? stream : Object.assign(stream, { ref: noop }), request);
  }

  #giveUpIdle(): void {
    for (const streams of Object.values(this.freeSockets)) {
      for (const stream of [...(streams ?? [])]) stream.destroy();
    }
  }
}

/** What a request meets on a stream that was open and cut before it came there. */
export function cutBefore(stream: ByteStream): Error {
  return stream.errored ?? new TransportError("stream_reset", "the device closed the stream");
}

function noop(): void {
  // A stream keeps no process alive.
}

const mostIdleStreams = 4;
