import { isIPv6 } from "node:net";

/** A host (name, IPv4, or IPv6 without brackets) and a port. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** `192.0.2.1:443`, `[2001:db8::1]:443`. */
export function formatHostPort({ host, port }: HostPort): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}
