import { decodeDns, truncatedAnswer, udpAnswerLimit } from "./dns-message.ts";

/**
 * The answer to a query that came by UDP: where it is longer than the client takes, it is told to ask by TCP (RFC 1035 §4.2.1).
 * Undefined where there is nothing to say.
 */
export async function udpAnswer(
  query: Uint8Array,
  answer: (query: Uint8Array) => Promise<Uint8Array | undefined>,
): Promise<Uint8Array | undefined> {
  const bytes = await answer(query);
  if (bytes === undefined || bytes.length <= smallestLimit) return bytes;
  return bytes.length <= limitOf(query) ? bytes : truncatedAnswer(query);
}

function limitOf(query: Uint8Array): number {
  try {
    return udpAnswerLimit(decodeDns(query));
  } catch {
    return smallestLimit;
  }
}

const smallestLimit = 512;
