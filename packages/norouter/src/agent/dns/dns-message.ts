import { decode, encode, RECURSION_DESIRED, type DecodedPacket, type Packet } from "dns-packet";
import { errorText, WireError } from "@culvert/runtime";
import { isIpv4 } from "@culvert/wire";

/** Response codes (RFC 1035 §4.1.1). */
export const DnsCode = { noError: 0, formatError: 1, serverFailure: 2, notImplemented: 4 } as const;

/**
 * Reads a DNS message.
 * @throws WireError `malformed_message`.
 */
export function decodeDns(message: Uint8Array): DecodedPacket {
  try {
    return decode(asBuffer(message));
  } catch (error) {
    throw new WireError("malformed_message", `not a DNS message: ${errorText(error)}`, {
      cause: error,
    });
  }
}

/** A question for the IPv4 addresses of a name, to be answered by recursion. */
export function encodeAddressQuery(id: number, name: string): Uint8Array {
  return encode({
    type: "query",
    id,
    flags: RECURSION_DESIRED,
    questions: [{ type: "A", class: "IN", name }],
  });
}

/** An answer to a question that was read: its own addresses, or none, with nothing left to a cache. */
export function encodeAddressAnswer(query: DecodedPacket, ips: readonly string[]): Uint8Array {
  const [question] = query.questions ?? [];
  const answers: Packet["answers"] = ips.map((data) => ({
    type: "A",
    class: "IN",
    name: question?.name ?? "",
    ttl: 0,
    data,
  }));
  const flags = (query.flags ?? 0) & RECURSION_DESIRED;
  const { id = 0, questions = [] } = query;
  return encode({ type: "response", id, flags, questions, answers });
}

/** The IPv4 addresses of an answer, whosever they are by aliases. */
export function addressesOf(answer: DecodedPacket): string[] {
  return (answer.answers ?? []).flatMap((record) =>
    record.type === "A" && isIpv4(record.data) ? [record.data] : [],
  );
}

/**
 * An answer of nothing but a code to a query, made of its bytes, since it may be unreadable: the question is repeated where the length of
 * it is known. Undefined where there is not even a header.
 */
export function codeAnswer(query: Uint8Array, code: number): Uint8Array | undefined {
  return headerAnswer(query, code, 0);
}

/** The answer that tells a client of UDP to ask again by TCP. */
export function truncatedAnswer(query: Uint8Array): Uint8Array | undefined {
  return headerAnswer(query, DnsCode.noError, truncatedFlag);
}

/** The bytes of an answer that a client of UDP can take (RFC 6891 §6.2.3), 512 where it does not say. */
export function udpAnswerLimit(query: DecodedPacket): number {
  const options = query.additionals?.find((record) => record.type === "OPT");
  const limit = options !== undefined && "udpPayloadSize" in options ? options.udpPayloadSize : 0;
  return Math.min(Math.max(limit, plainUdpBytes), largestUdpBytes);
}

function headerAnswer(query: Uint8Array, code: number, flag: number): Uint8Array | undefined {
  if (query.length < headerBytes) return undefined;
  const end = questionEnd(query);
  const answer = query.slice(0, end ?? headerBytes);
  const view = new DataView(answer.buffer);
  const kept = view.getUint16(2) & (opcodeBits | RECURSION_DESIRED);
  view.setUint16(2, responseFlag | kept | flag | code);
  view.setUint16(4, end === undefined ? 0 : 1);
  answer.fill(0, 6, headerBytes);
  return answer;
}

/** Where the only question ends; undefined where there is not exactly one, or it is broken. */
function questionEnd(query: Uint8Array): number | undefined {
  if (query[4] !== 0 || query[5] !== 1) return undefined;
  let at = headerBytes;
  for (;;) {
    const length = query[at];
    // A pointer in a question could only lead forward or into the header.
    if (length === undefined || length > 63) return undefined;
    at += 1 + length;
    if (length === 0) break;
  }
  return at + 4 <= query.length ? at + 4 : undefined;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

const headerBytes = 12;
const responseFlag = 0x8000;
const truncatedFlag = 0x0200;
const opcodeBits = 0x7800;
const plainUdpBytes = 512;
/** What passes everywhere without fragments is 1,232; loopback and a virtual network of 65,535 take more. */
const largestUdpBytes = 4_096;
