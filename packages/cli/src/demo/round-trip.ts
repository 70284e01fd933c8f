import { createHash } from "node:crypto";
import { connect } from "node:net";
import { pipeline } from "node:stream/promises";
import { millis, TransportError, withDeadline, type Clock, type Random } from "@culvert/runtime";

/** What came of a {@link roundTrip}. */
export interface RoundTripResult {
  readonly bytes: number;
  readonly sha256: string;
  readonly seconds: number;
}

/**
 * Sends random bytes to an echo server, ends the direction, and checks that the same come back.
 * @throws TransportError `refused` where other bytes come back, `timeout`, or what the system says.
 */
export async function roundTrip(
  deps: { readonly clock: Clock; readonly random: Random },
  address: { readonly host: string; readonly port: number },
  bytes: number,
): Promise<RoundTripResult> {
  const { clock, random } = deps;
  const sent = createHash("sha256");
  const received = createHash("sha256");
  const startedAt = clock.now();
  let receivedBytes = 0;
  await withDeadline(
    { clock, limit: transferTimeout, what: "sending there and back" },
    async (signal) => {
      const socket = connect({ ...address, allowHalfOpen: true, noDelay: true, signal });
      await pipeline(
        function* () {
          for (let left = bytes; left > 0; left -= chunkBytes) {
            const chunk = random.bytes(Math.min(left, chunkBytes));
            sent.update(chunk);
            yield chunk;
          }
        },
        socket,
        async function (source: AsyncIterable<Buffer>) {
          for await (const chunk of source) {
            received.update(chunk);
            receivedBytes += chunk.length;
          }
        },
        { signal },
      );
    },
  );
  const seconds = (clock.now() - startedAt) / 1000;
  const sha256 = sent.digest("hex");
  const back = received.digest("hex");
  if (back !== sha256) {
    const what = `sent ${bytes} bytes with SHA-256 ${sha256}, got ${receivedBytes} with ${back}`;
    throw new TransportError("refused", what, { data: { bytes, receivedBytes } });
  }
  return { bytes, sha256, seconds };
}

const chunkBytes = 64 * 1024;
const transferTimeout = millis(60_000);
