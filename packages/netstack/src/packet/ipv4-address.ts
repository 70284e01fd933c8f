/**
 * An IPv4 address as the unsigned 32-bit number its four bytes spell in network order: 127.0.0.1 is 0x7f000001. The form used
 * inside the stack, where addresses are compared and hashed for each packet.
 */
export type Ipv4Address = number;

/** The address a dotted text of four decimal numbers names; `undefined` for any other text, leading zeros among it. */
export function parseIpv4Address(text: string): Ipv4Address | undefined {
  const match = dottedQuad.exec(text);
  if (match === null) return undefined;
  let address = 0;
  for (const part of match.slice(1)) {
    const byte = Number(part);
    if (byte > 255) return undefined;
    address = address * 256 + byte;
  }
  return address;
}

/** The dotted text of an address. */
export function formatIpv4Address(address: Ipv4Address): string {
  return `${address >>> 24}.${(address >>> 16) & 0xff}.${(address >>> 8) & 0xff}.${address & 0xff}`;
}

// A leading zero is octal to some readers and decimal to others: it is refused rather than guessed (RFC 6943 §3.1.1).
const dottedQuad = /^(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})$/;
