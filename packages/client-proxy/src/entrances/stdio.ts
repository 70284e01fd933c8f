import { splice, type ByteStream, type SpliceResult } from "@culvert/runtime";
import type { Connector } from "./entrance.ts";

/** What to join to what. */
export interface StdioOptions {
  readonly server: string;
  /** A service name, a port, or `host:port`. */
  readonly target: string;
  /** The near end, such as `standardStreams()`; owned from here on. */
  readonly stream: ByteStream;
  /** Ends the attempt, and an open connection with a reset. */
  readonly signal: AbortSignal;
}

/**
 * Opens one connection for a near end that is there already, such as standard input and output under `ssh -o ProxyCommand`, and
 * resolves when both directions have ended; `left` is the near end. A failure on the way is in the result.
 * @throws as {@link Connector.connect}; the near end is destroyed then.
 */
export async function runStdio(
  deps: { readonly connector: Connector },
  options: StdioOptions,
): Promise<SpliceResult> {
  const { server, target, stream: near, signal } = options;
  near.on("error", () => undefined);
  const controller = new AbortController();
  const give = (): void => controller.abort(signal.reason ?? new Error("the near end was closed"));
  const onAbort = (): void => {
    give();
    near.destroy(signal.reason instanceof Error ? signal.reason : new Error("aborted"));
  };
  near.once("close", give);
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  try {
    const connection = await deps.connector.connect({
      server,
      target,
      clientPort: 0,
      entrance: "stdio",
      early: near,
      signal: controller.signal,
    });
    const result = await splice(near, connection.stream, connection.progress);
    connection.finished(result);
    return result;
  } catch (error) {
    near.destroy();
    throw error;
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
