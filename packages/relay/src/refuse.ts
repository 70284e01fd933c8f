import type { ByteStream, Clock } from "@culvert/runtime";
import { answerAndEnd } from "@culvert/transport";
import { Status, type StatusCode } from "@culvert/wire";

/** A refusal as it is told to the client (PROTOCOL.md, Answer). */
export interface Refusal {
  readonly status: StatusCode;
  readonly text: string;
  /** The limit that was reached, where `status` is resource_limit. */
  readonly limit?: string;
}

/** Refuses a client's stream, with the server's own words where it has said something; see {@link answerAndEnd}. */
export function refuse(
  stream: ByteStream,
  refusal: Refusal,
  clock: Clock,
  inner: Uint8Array = new Uint8Array(),
): void {
  const { status, text, limit } = refusal;
  answerAndEnd(stream, { kind: "answer", status, text, limit: limit ?? "", inner }, clock);
}

/** The refusal for a tip that is not what it should be. */
export function malformed(text: string): Refusal {
  return { status: Status.malformed, text };
}
