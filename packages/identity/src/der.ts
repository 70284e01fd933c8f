/** One element of a DER structure (X.690 §8, §10): a view on the bytes it was read from. */
export interface DerElement {
  readonly tag: number;
  /** Tag, length and content. */
  readonly bytes: Uint8Array;
  readonly content: Uint8Array;
}

/** The tags that certificates use, with class and constructed bit (X.690 §8.1.2). */
export const DerTag = {
  boolean: 0x01,
  octetString: 0x04,
  objectIdentifier: 0x06,
  sequence: 0x30,
  /** `[n]` EXPLICIT, constructed. */
  explicit: (n: number): number => 0xa0 | n,
} as const;

/**
 * The elements that `bytes` consists of, in order.
 * @throws RangeError where an element is longer than what is left, its length not in the shortest form, or its tag of several
 * bytes; also for more than 64 elements, which no certificate needs at one level.
 */
export function derElements(bytes: Uint8Array): DerElement[] {
  const elements: DerElement[] = [];
  let offset = 0;
  while (offset < bytes.length) {
    if (elements.length === maxElements) throw new RangeError("too many DER elements");
    const element = readElement(bytes, offset);
    elements.push(element);
    offset += element.bytes.length;
  }
  return elements;
}

/**
 * The content of the one element that `bytes` consists of.
 * @throws RangeError if it has another tag, or if anything follows.
 */
export function derContent(bytes: Uint8Array, tag: number): Uint8Array {
  const [element, ...rest] = derElements(bytes);
  if (element === undefined || rest.length > 0 || element.tag !== tag) {
    throw new RangeError(`not exactly one DER element with tag ${tag}`);
  }
  return element.content;
}

function readElement(bytes: Uint8Array, offset: number): DerElement {
  const byteAt = (at: number): number => {
    const byte = bytes[at];
    if (byte === undefined) throw new RangeError("DER ends inside an element");
    return byte;
  };
  const tag = byteAt(offset);
  if ((tag & 0x1f) === 0x1f) throw new RangeError("DER tag of several bytes");
  let length = byteAt(offset + 1);
  let start = offset + 2;
  if (length >= 0x80) {
    const lengthBytes = length & 0x7f;
    if (lengthBytes < 1 || lengthBytes > 2) throw new RangeError("DER length out of range");
    length = 0;
    for (let i = 0; i < lengthBytes; i++) length = length * 256 + byteAt(start++);
    if (length < (lengthBytes === 1 ? 0x80 : 0x100)) {
      throw new RangeError("DER length not in its shortest form");
    }
  }
  const end = start + length;
  if (end > bytes.length) throw new RangeError("DER element longer than what holds it");
  return { tag, bytes: bytes.subarray(offset, end), content: bytes.subarray(start, end) };
}

const maxElements = 64;
