import { isIpv4 } from "@culvert/wire";

/** An IPv4 network: `prefix` leading bits of `base` are fixed, the others of it zero. */
export interface Ipv4Network {
  readonly base: number;
  readonly prefix: number;
}

/** The address as a number; undefined where the text is no IPv4 address in its canonical form. */
export function parseIpv4(text: string): number | undefined {
  if (!isIpv4(text)) return undefined;
  return text.split(".").reduce((value, part) => value * 256 + Number(part), 0);
}

/** The dotted form of an address. */
export function formatIpv4(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff).join(".");
}

/** Reads `192.168.95.0/24`; bits of the address beyond the prefix are ignored. Undefined where the text is no such network. */
export function parseNetwork(text: string): Ipv4Network | undefined {
  const match = /^([\d.]+)\/(\d{1,2})$/.exec(text);
  const address = parseIpv4(match?.[1] ?? "");
  const prefix = Number(match?.[2]);
  if (address === undefined || !(prefix <= 32)) return undefined;
  return { base: maskTo(address, prefix), prefix };
}

/** The usual form of a network: `192.168.95.0/24`. */
export function formatNetwork({ base, prefix }: Ipv4Network): string {
  return `${formatIpv4(base)}/${prefix}`;
}

/** Whether an address lies in a network. */
export function networkHas({ base, prefix }: Ipv4Network, address: number): boolean {
  return maskTo(address, prefix) === base;
}

function maskTo(address: number, prefix: number): number {
  // Shifting by 32 shifts by nothing.
  return prefix === 0 ? 0 : (address & (-1 << (32 - prefix))) >>> 0;
}
