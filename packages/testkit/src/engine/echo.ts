import type { Duplex } from "node:stream";

/** Sends every byte of every stream back, and FIN after FIN, until the streams end. A stream that fails is dropped. */
export async function echoStreams(streams: AsyncIterable<Duplex>): Promise<void> {
  for await (const stream of streams) {
    stream.on("error", () => undefined);
    stream.pipe(stream);
  }
}
