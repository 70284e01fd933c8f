import { Agent, type ClientRequestArgs } from "node:http";
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { TransportError, type ByteStream } from "@culvert/runtime";

/** Gives Node's HTTP client connections to one local service: one at a time, kept open between requests. */
export class ServiceAgent extends Agent {
  readonly #dial: () => Promise<ByteStream>;

  constructor(dial: () => Promise<ByteStream>) {
    super({ keepAlive: true, maxSockets: 1 });
    this.#dial = dial;
  }

  override createConnection(
    _options: ClientRequestArgs,
    done?: (error: Error | null, stream: Duplex) => void,
  ): undefined {
    // Node's types ask for a stream even where there is an error.
    const fail = done as ((error: Error) => void) | undefined;
    this.#dial().then(
      (stream) => {
        // Node waits for ever for a stream that has closed before.
        if (stream.destroyed) fail?.(stream.errored ?? closedBefore());
        else done?.(null, stream);
      },
      (error: unknown) => fail?.(error as Error),
    );
    return undefined;
  }

  /** Keeps an idle socket; of another stream Node asks what only sockets have. */
  override keepSocketAlive(stream: Duplex): boolean {
    // What the super class answers is not among Node's types.
    const keep = super.keepSocketAlive.bind(this) as (stream: Duplex) => boolean;
    return stream instanceof Socket && keep(stream);
  }
}

function closedBefore(): Error {
  return new TransportError("stream_reset", "the service closed the connection");
}
