/**
 * The ones' complement sum of bytes taken as 16-bit words in network order, folded to 16 bits and not yet complemented
 * (RFC 1071). An odd last byte counts as the high half of a word. Sums of several parts may be added, then folded by
 * {@link foldSum}, where each part but the last has an even length.
 *
 * Long inputs are read by aligned 32-bit words of the platform's own order: such a sum is the network-order sum, or that with its
 * two bytes swapped (RFC 1071 §2.B), and a double holds it exactly for any packet IPv4 can carry.
 */
export function sumBytes(bytes: Uint8Array, start = 0, end = bytes.length): number {
  if (end - start < shortInput) return sumByBytes(bytes, start, end);
  // Bytes before the first word boundary, and after the last one, are added by hand at the place in a word their address gives.
  const misaligned = (bytes.byteOffset + start) & 3;
  const head = misaligned === 0 ? 0 : 4 - misaligned;
  const wordCount = (end - start - head) >>> 2;
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset + start + head, wordCount);
  let first = 0;
  let second = 0;
  let third = 0;
  let fourth = 0;
  let index = 0;
  for (const last = wordCount - 3; index < last; index += 4) {
    first += words[index] ?? 0;
    second += words[index + 1] ?? 0;
    third += words[index + 2] ?? 0;
    fourth += words[index + 3] ?? 0;
  }
  for (; index < wordCount; index++) first += words[index] ?? 0;
  let sum = first + second + third + fourth;
  for (let at = start; at < start + head; at++) sum += nativeByte(bytes, at);
  for (let at = start + head + wordCount * 4; at < end; at++) sum += nativeByte(bytes, at);
  const folded = foldSum(sum);
  const startsAtEvenAddress = ((bytes.byteOffset + start) & 1) === 0;
  return startsAtEvenAddress === isLittleEndian ? swapBytes(folded) : folded;
}

/** A sum of 16-bit or 32-bit words, at most 2^52, with its carries added in until 16 bits remain. */
export function foldSum(sum: number): number {
  // 2^32 leaves the remainder 1 modulo 0xffff as 2^16 does, so the halves simply add up.
  const low = sum >>> 0;
  let folded = (low & 0xffff) + (low >>> 16) + (sum - low) / 0x1_0000_0000;
  while (folded > 0xffff) folded = (folded & 0xffff) + (folded >>> 16);
  return folded;
}

/** The sum of the pseudo-header that TCP and UDP checksums begin with (RFC 9293 §3.1). */
export function pseudoHeaderSum(
  source: number,
  destination: number,
  protocol: number,
  length: number,
): number {
  return foldSum(source + destination + protocol + length);
}

/** What goes into the checksum field for a folded sum of everything else (with the field itself 0). */
export function checksumOf(foldedSum: number): number {
  return ~foldedSum & 0xffff;
}

/** The folded sum of data that includes its own correct checksum. */
export const verifiedSum = 0xffff;

// Below this, making a view of the words costs more than it saves.
const shortInput = 64;

const isLittleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

function sumByBytes(bytes: Uint8Array, start: number, end: number): number {
  let sum = 0;
  const lastPair = end - 1;
  let at = start;
  for (; at < lastPair; at += 2) sum += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  if (at < end) sum += (bytes[at] ?? 0) << 8;
  return foldSum(sum);
}

function nativeByte(bytes: Uint8Array, at: number): number {
  const atEvenAddress = ((bytes.byteOffset + at) & 1) === 0;
  const byte = bytes[at] ?? 0;
  return atEvenAddress === isLittleEndian ? byte : byte << 8;
}

function swapBytes(word: number): number {
  return ((word & 0xff) << 8) | (word >>> 8);
}
