import type { Duplex } from "node:stream";
import { expect } from "vitest";
import { otherSide, type Link, type LinkEnd, type Side } from "./link.ts";
import { readPayload, writePayload, type PayloadDigest } from "../payload.ts";
import { within } from "../wait-until.ts";

/** One payload from the side that opens the stream, FIN, then one back. */
export async function thereAndBack<Stream extends Duplex>(
  link: Link<Stream, LinkEnd<Stream>>,
  side: Side,
  bytes: number,
  seed: number,
): Promise<void> {
  const near = await within(link[side].openStream(), { what: "openStream" });
  const wrote = writePayload(near, bytes, seed);
  const far = await link.accept(otherSide(side));
  if (far === undefined) throw new Error("the connection ended");
  const digest = async (
    writing: Promise<PayloadDigest>,
    reader: Stream,
    direction: string,
  ): Promise<void> => {
    const both = Promise.all([writing, readPayload(reader)]);
    const [sent, got] = await within(both, {
      limitMs: 10_000,
      what: `${bytes} bytes ${direction}`,
    });
    expect(got).toEqual(sent);
  };
  await digest(wrote, far, "there");
  await digest(writePayload(far, bytes, seed + 1), near, "back");
}
