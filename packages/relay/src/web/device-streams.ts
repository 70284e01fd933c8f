import { errorText, LimitError, TransportError, withDeadline } from "@culvert/runtime";
import type { ByteStream, Clock, Millis } from "@culvert/runtime";
import type { ErrorStatus } from "./error-page.ts";
import type { PublicMetrics } from "./metrics.ts";
import type { PublicConnection, PublicDevice } from "./public-device.ts";

/** Opens streams to devices within a time-out, and counts them. */
export class DeviceStreams {
  readonly #clock: Clock;
  readonly #metrics: PublicMetrics;
  readonly #timeout: Millis;

  constructor(deps: { clock: Clock; metrics: PublicMetrics }, timeout: Millis) {
    this.#clock = deps.clock;
    this.#metrics = deps.metrics;
    this.#timeout = timeout;
  }

  /**
   * Opens a stream; the caller owns it, and it has an error listener already.
   * @throws TransportError `timeout`, `aborted`, `no_session`; and what the device throws.
   */
  async open(
    device: PublicDevice,
    connection: PublicConnection,
    signal: AbortSignal,
  ): Promise<ByteStream> {
    if (!device.connected)
      throw new TransportError("no_session", `${device.name} is not connected`);
    const stream = await withDeadline(
      {
        clock: this.#clock,
        limit: this.#timeout,
        what: `opening a stream to ${device.name}`,
        signal,
        discard: (late: ByteStream) => {
          late.on("error", () => undefined);
          late.destroy();
        },
      },
      (ended) => device.open(connection, { signal: ended }),
    );
    stream.on("error", () => undefined);
    this.#metrics.opened.inc({ service: connection.service });
    return stream;
  }
}

/** What a client is told where a device could not be reached. */
export function deviceFailure(error: unknown): { status: ErrorStatus; reason: string } {
  const reason = errorText(error);
  if (error instanceof LimitError) return { status: 503, reason };
  const late = error instanceof TransportError && error.code === "timeout";
  return { status: late ? 504 : 502, reason };
}
