import {
  TransportError,
  withDeadline,
  type ByteStream,
  type Clock,
  type Millis,
} from "@culvert/runtime";
import { DnsFramer, framedDns } from "./dns-framer.ts";

/** How long a question may take, and what it is. */
export interface AskOptions {
  readonly clock: Clock;
  readonly limit: Millis;
  readonly what: string;
  /** Ends the wait when nobody asks any more. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Asks one DNS query on a connection of its own, which is closed behind it. Returns the first message that bears the query's id.
 * @throws TransportError `timeout`, `aborted`, `connection_closed`, or as `dial`.
 */
export function askOverStream(
  query: Uint8Array,
  dial: (signal: AbortSignal) => Promise<ByteStream>,
  options: AskOptions,
): Promise<Uint8Array> {
  return withDeadline(options, async (signal) => {
    const stream = await dial(signal);
    stream.on("error", () => undefined);
    const onAbort = (): void => void stream.destroy();
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
    try {
      stream.write(framedDns(query));
      const framer = new DnsFramer();
      for await (const chunk of stream as AsyncIterable<Uint8Array>) {
        const answer = framer
          .push(chunk)
          .find((message) => message[0] === query[0] && message[1] === query[1]);
        if (answer !== undefined) return answer;
      }
      throw new TransportError("connection_closed", `${options.what}: closed without an answer`);
    } finally {
      signal.removeEventListener("abort", onAbort);
      stream.destroy();
    }
  });
}
