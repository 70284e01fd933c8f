import { isIP } from "node:net";
import { errorText } from "@culvert/runtime";
import { parseName, quoteText } from "@culvert/wire";
import type { Destination } from "./forwarder.ts";

/** Where a proxy request goes, or why nowhere. */
export type ProxyDestination =
  | { readonly kind: "found"; readonly destination: Destination }
  /** The request is for an address; Culvert reaches servers by name only. */
  | { readonly kind: "address"; readonly text: string }
  | { readonly kind: "malformed"; readonly text: string };

/**
 * Reads the host and port that a proxy client asks for: `lan-box` or `lan-box.culvert`, in capitals too since host names have none,
 * with the port of the server's own machine. Any other name goes to the relay as a server's name and is refused there.
 */
export function proxyDestination(host: string, port: number): ProxyDestination {
  if (isIP(host) !== 0) {
    const text = `${host}:${port} is an address; ask for a server by its name, such as lan-box:22`;
    return { kind: "address", text };
  }
  if (!(port >= 1 && port <= 65_535)) {
    return { kind: "malformed", text: `${quoteText(host)}: there is no port ${port}` };
  }
  try {
    const server = parseName(host.toLowerCase().replace(/\.culvert$/, ""));
    return { kind: "found", destination: { server, target: String(port) } };
  } catch (error) {
    return { kind: "malformed", text: errorText(error) };
  }
}
