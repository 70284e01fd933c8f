import { formatHostPort, parseHostPort, type HostPort } from "./address-kinds.ts";
import { entryOf } from "./collection-kinds.ts";
import { dnsPatternKind } from "./dns-name-kinds.ts";
import { serviceNameKind } from "./forward-kinds.ts";
import { absentAs, absentAsNone, type Kind } from "./kind.ts";
import { booleanKind, choiceKind, countKind, pathKind } from "./scalar-kinds.ts";

/** Where exposed connections go: an address, or a service of this server by name. */
export type ExposeTarget =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "service"; readonly name: string };

/** A public name or port that a server asks its relay for, and where its connections go. */
export interface ExposeConfig {
  /** A DNS name, or `*.` and one; exactly one of `name` and `port` is given. */
  readonly name: string | undefined;
  readonly port: number | undefined;
  readonly to: ExposeTarget;
  /** Who ends TLS: the relay, this server with `certFile` and `keyFile`, or the target itself. */
  readonly tls: "relay" | "pass" | "local";
  readonly certFile: string | undefined;
  readonly keyFile: string | undefined;
  /** Whether the target is told the visitor's address by a PROXY protocol version 2 header. */
  readonly proxyProtocol: "off" | "v2";
  /**
   * Whether HTTP that is in clear here gets `X-Forwarded-For`, `-Proto` and `-Host`. Where TLS is ended here at a port, false leaves
   * all there is to the target, so that protocols may be spoken that look like HTTP; at a name every request is read in any case.
   */
  readonly forwardedFor: boolean;
  /** Where ssh goes that is found inside TLS that is ended, or on the port; undefined = it is not looked for. */
  readonly ssh: ExposeTarget | undefined;
}

/** `127.0.0.1:3000`, a port of this machine, or the name of a service. */
export const exposeTargetKind: Kind<ExposeTarget> = {
  expected: "host:port such as 127.0.0.1:3000, a port of this machine, or a service of this server",
  parse(raw, place) {
    const text = typeof raw === "number" ? String(raw) : raw;
    if (typeof text !== "string") return place.fail(exposeTargetKind.expected, raw);
    const address = parseHostPort(/^\d+$/.test(text) ? `127.0.0.1:${text}` : text);
    if (address !== undefined) return Object.freeze({ kind: "tcp", ...address });
    return /[:[\]]|^\d+$/.test(text)
      ? place.fail(exposeTargetKind.expected, raw)
      : Object.freeze({ kind: "service", name: serviceNameKind.parse(text, place) });
  },
  print: (value) => (value.kind === "tcp" ? formatHostPort(value) : value.name),
};

const exposeEntry = entryOf<ExposeConfig>({
  name: absentAsNone(dnsPatternKind),
  port: absentAsNone(countKind({ min: 1, max: 65_535 })),
  to: exposeTargetKind,
  tls: absentAs("relay", choiceKind(["relay", "pass", "local"])),
  certFile: absentAsNone(pathKind),
  keyFile: absentAsNone(pathKind),
  proxyProtocol: absentAs("off", choiceKind(["off", "v2"])),
  forwardedFor: absentAs(true, booleanKind),
  ssh: absentAsNone(exposeTargetKind),
});

/** An entry of `expose`, whole in itself. */
export const exposeKind: Kind<ExposeConfig> = {
  ...exposeEntry,
  parse(raw, place) {
    const entry = exposeEntry.parse(raw, place);
    const { name, port, tls, certFile, keyFile } = entry;
    if ((name === undefined) === (port === undefined)) {
      place.reject("expected either name or port");
    }
    const files = [certFile, keyFile].filter((file) => file !== undefined).length;
    if (tls === "local" && files < 2) {
      place.reject("expected certFile and keyFile, since tls is local");
    }
    if (tls !== "local" && files > 0) {
      place.reject(`certFile and keyFile are for tls: local, and tls is ${tls}`);
    }
    return entry;
  },
};

/** A Telebit relay that a server attaches to. */
export interface TelebitRelayAddress {
  readonly protocol: "https" | "http";
  readonly address: HostPort;
}

/** A host, or a URL with `https`, `wss`, `http` or `ws`; the port is 443, or 80 without TLS. */
export const telebitRelayKind: Kind<TelebitRelayAddress> = {
  expected: "a host or URL such as telebit.example.com or https://telebit.example.com:8443",
  parse(raw, place) {
    const written = typeof raw === "string" ? raw : "";
    const text = /^[a-z]+:\/\//.test(written) ? written : `https://${written}`;
    const url = URL.canParse(text) ? new URL(text) : undefined;
    const scheme = /^(?:https|wss|http|ws):$/.exec(url?.protocol ?? "")?.[0];
    if (url === undefined || scheme === undefined || !/^\/?$/.test(url.pathname + url.search)) {
      return place.fail(telebitRelayKind.expected, raw);
    }
    const protocol = scheme === "https:" || scheme === "wss:" ? "https" : "http";
    const port = url.port === "" ? (protocol === "https" ? 443 : 80) : Number(url.port);
    const address = parseHostPort(`${url.hostname}:${port}`);
    if (address === undefined || url.username !== "") {
      return place.fail(telebitRelayKind.expected, raw);
    }
    return Object.freeze({ protocol, address });
  },
  print: ({ protocol, address }) => `${protocol}://${formatHostPort(address)}`,
};
