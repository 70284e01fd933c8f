import { isIPv4 } from "node:net";
import type { PublicOffer } from "@culvert/wire";

/**
 * The header of the PROXY protocol, version 2, that tells a local service who connected
 * (https://www.haproxy.org/download/1.8/doc/proxy-protocol.txt §2.2). Where the relay's own address is not known it is told as the
 * unspecified one. An IPv4 client of a dual-stack listener is told as IPv4.
 */
export function proxyHeader({ remote, localAddress, servicePort }: PublicOffer): Uint8Array {
  const source = plainIpv4(remote.address) ?? remote.address;
  const target = plainIpv4(localAddress) ?? localAddress;
  const isV4 = isIPv4(source) && (target === "" || isIPv4(target));
  const addressBytes = isV4 ? 4 : 16;
  const header = new Uint8Array(signature.length + 4 + 2 * addressBytes + 4);
  const view = new DataView(header.buffer);
  header.set(signature);
  header[12] = 0x21; // version 2, PROXY
  header[13] = isV4 ? 0x11 : 0x21; // TCP over IPv4, over IPv6
  view.setUint16(14, 2 * addressBytes + 4);
  header.set(isV4 ? ipv4Bytes(source) : ipv6Bytes(source), 16);
  if (target !== "") {
    header.set(isV4 ? ipv4Bytes(target) : ipv6Bytes(target), 16 + addressBytes);
  }
  view.setUint16(16 + 2 * addressBytes, remote.port);
  view.setUint16(18 + 2 * addressBytes, servicePort);
  return header;
}

function plainIpv4(address: string): string | undefined {
  const inner = address.startsWith("::ffff:") ? address.slice("::ffff:".length) : address;
  return isIPv4(inner) ? inner : undefined;
}

function ipv4Bytes(address: string): number[] {
  return address.split(".").map(Number);
}

/** Takes any IPv6 address, and IPv4 as IPv6-mapped. */
function ipv6Bytes(address: string): number[] {
  if (isIPv4(address)) return [...Array<number>(10).fill(0), 0xff, 0xff, ...ipv4Bytes(address)];
  const [head = "", tail] = address.split("::");
  const before = groupBytes(head);
  const after = groupBytes(tail ?? "");
  const missing = Math.max(0, 16 - before.length - after.length);
  return [...before, ...Array<number>(missing).fill(0), ...after];
}

function groupBytes(text: string): number[] {
  if (text === "") return [];
  return text.split(":").flatMap((group) => {
    if (group.includes(".")) return ipv4Bytes(group);
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
}

const signature = Uint8Array.from([
  0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a,
]);
