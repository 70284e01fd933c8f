import { errorText } from "@culvert/runtime";
import { formatTarget, parseName, parseTarget } from "@culvert/wire";
import { formatHostPort, tcpListenKind, parseHostPort, type HostPort } from "./address-kinds.ts";
import { entryOf } from "./collection-kinds.ts";
import type { Kind } from "./kind.ts";

/** Where a forwarded connection goes: a server by name, and a target as it stands in a tip (PROTOCOL.md §6.2). */
export interface ServerTarget {
  readonly server: string;
  /** A service, a port or an address, in its canonical form. */
  readonly target: string;
}

/** A local listener of a client and where its connections go. */
export interface ForwardConfig {
  readonly listen: HostPort;
  readonly to: ServerTarget;
}

/** What a service of a server leads to. */
export type ServiceTarget =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

/** The name of a peer. */
export const nameKind: Kind<string> = {
  expected: "a name of 1 to 64 lower-case letters, digits, dots, dashes and underscores",
  parse(raw, place) {
    const text = typeof raw === "number" ? String(raw) : raw;
    if (typeof text !== "string") return place.fail(nameKind.expected, raw);
    try {
      return parseName(text);
    } catch (error) {
      return place.reject(errorText(error));
    }
  },
  print: (value) => value,
};

/** The name of a service: a name that is no number. */
export const serviceNameKind: Kind<string> = {
  expected: "a service name",
  parse(raw, place) {
    const name = nameKind.parse(raw, place);
    return /^\d+$/.test(name)
      ? place.reject("a service name cannot be a number, since that means a port")
      : name;
  },
  print: (value) => value,
};

/** A user name of SOCKS5 or HTTP Basic: 1 to 255 bytes without a colon (RFC 7617 §2). */
export const userNameKind: Kind<string> = {
  expected: "user names of 1 to 255 bytes without a colon",
  parse(raw, place) {
    const fits = typeof raw === "string" && raw !== "" && Buffer.byteLength(raw) <= 255;
    // eslint-disable-next-line no-control-regex -- control characters are what must not pass
    return fits && !/[:\u0000-\u001f\u007f]/.test(raw)
      ? raw
      : place.fail(userNameKind.expected, raw);
  },
  print: (value) => value,
};

/** `lan-box:ssh`, `lan-box:5900`, `lan-box:192.168.1.9:80`. */
export const serverTargetKind: Kind<ServerTarget> = {
  expected: "SERVER:TARGET, where TARGET is a service, a port or an address, such as lan-box:ssh",
  parse(raw, place) {
    if (typeof raw !== "string") return place.fail(serverTargetKind.expected, raw);
    const colon = raw.indexOf(":");
    if (colon < 1) return place.fail(serverTargetKind.expected, raw);
    try {
      const server = parseName(raw.slice(0, colon));
      return { server, target: formatTarget(parseTarget(raw.slice(colon + 1))) };
    } catch (error) {
      return place.reject(`expected ${serverTargetKind.expected}: ${errorText(error)}`);
    }
  },
  print: ({ server, target }) => `${server}:${target}`,
};

const forwardEntry = entryOf<ForwardConfig>({ listen: tcpListenKind, to: serverTargetKind });

/** A mapping with `listen` and `to`, or in one text `LISTEN=SERVER:TARGET`. */
export const forwardKind: Kind<ForwardConfig> = {
  expected: "a mapping with listen and to, or LISTEN=SERVER:TARGET",
  parse(raw, place) {
    if (typeof raw !== "string") return forwardEntry.parse(raw, place);
    const equals = raw.indexOf("=");
    if (equals < 0)
      return place.fail("LISTEN=SERVER:TARGET such as 127.0.0.1:2222=lan-box:ssh", raw);
    return forwardEntry.parse({ listen: raw.slice(0, equals), to: raw.slice(equals + 1) }, place);
  },
  print: (value) => forwardEntry.print(value),
};

/** `127.0.0.1:22` or `unix:/run/app.sock`. */
export const serviceTargetKind: Kind<ServiceTarget> = {
  expected: "a host and a port such as 127.0.0.1:22, or unix:/absolute/path",
  parse(raw, place) {
    if (typeof raw !== "string") return place.fail(serviceTargetKind.expected, raw);
    if (raw.startsWith("unix:")) {
      const path = raw.slice("unix:".length);
      if (!/^(?:\/|\\\\|[A-Za-z]:\\)/.test(path) || path.includes("\0")) {
        return place.fail(serviceTargetKind.expected, raw);
      }
      return { kind: "unix", path };
    }
    const address = parseHostPort(raw);
    return address === undefined
      ? place.fail(serviceTargetKind.expected, raw)
      : { kind: "tcp", ...address };
  },
  print: (value) => (value.kind === "unix" ? `unix:${value.path}` : formatHostPort(value)),
};
