import { TransportError, WireError, type ByteStream } from "@culvert/runtime";
import { Status, type Answer } from "@culvert/wire";
import { readTip, type ReadTipOptions } from "./tip-io.ts";

/**
 * Reads the answer to a Connect or an Offer, as {@link readTip} reads any tip. A reset by the peer ahead of it is an `ok` that the
 * reset has overtaken, since whoever refuses ends with FIN (PROTOCOL.md §4.5); the stream is then destroyed, and to be handed on as
 * any other, so that the connection counts as one that was open and was cut.
 * @throws what {@link readTip} throws otherwise; WireError `unexpected_message`.
 */
export async function readAnswer(stream: ByteStream, options: ReadTipOptions): Promise<Answer> {
  try {
    const tip = await readTip(stream, options);
    if (tip.kind === "answer") return tip;
    throw new WireError("unexpected_message", `expected answer, got ${tip.kind}`);
  } catch (error) {
    if (isReset(stream.errored) && error === stream.errored) return overtaken;
    throw error;
  }
}

function isReset(error: Error | null): boolean {
  if (!(error instanceof TransportError)) return false;
  return error.code === "stream_reset" || error.code === "stream_stopped";
}

const overtaken: Answer = {
  kind: "answer",
  status: Status.ok,
  text: "",
  limit: "",
  inner: new Uint8Array(0),
};
