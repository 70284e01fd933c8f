import { Agent, type ClientRequestArgs } from "node:http";
import type { Duplex } from "node:stream";
import type { ByteStream } from "@culvert/runtime";

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
    this.#dial().then(
      (stream) => done?.(null, stream),
      // Node looks at the stream only where there is no error.
      (error: unknown) => done?.(error as Error, undefined as unknown as Duplex),
    );
    return undefined;
  }
}
