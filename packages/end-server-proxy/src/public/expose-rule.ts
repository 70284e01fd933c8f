import type { ServiceTarget } from "../exits/allow-list.ts";

/** Who ends the TLS of a public connection: the relay, the local service itself, or this proxy. */
export type TlsEnd = "relay" | "pass" | "local";

/** One thing that the internet may reach through the relay, and how. */
export interface ExposeRule {
  /** Lower-case public name, or `*.` and one; empty where a port is exposed. */
  readonly name: string;
  /** Port of the relay; 0 where a name is exposed. */
  readonly port: number;
  readonly to: ServiceTarget;
  readonly tls: TlsEnd;
  /** PEM files; needed where `tls` is `local`. */
  readonly certificate: CertificateFiles | undefined;
  /** Begins every connection to the local service with a PROXY protocol header. */
  readonly proxyProtocol: "off" | "v2";
  /**
   * Adds X-Forwarded-For and its kin to requests whose TLS is ended here, or that a Telebit relay passes on in clear. Without, such
   * requests at a name are looked at all the same; what comes at a port is joined unread.
   */
  readonly forwardedFor: boolean;
  /** Where connections go whose first bytes are those of ssh. */
  readonly ssh: ServiceTarget | undefined;
}

/** A certificate chain and its key, as PEM files. */
export interface CertificateFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

/** How a rule is called in logs, status and messages: its name, or `port 2222`. */
export function exposeLabel({
  name,
  port,
}: {
  readonly name: string;
  readonly port: number;
}): string {
  return name === "" ? `port ${port}` : name;
}

/** A service's place as it prints: `127.0.0.1:3000`, `[::1]:3000`, `unix:/run/app.sock`. */
export function formatServiceTarget(target: ServiceTarget): string {
  if (target.kind === "unix") return `unix:${target.path}`;
  const { host, port } = target;
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
