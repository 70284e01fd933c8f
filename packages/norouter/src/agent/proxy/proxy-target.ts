/** Where a request to a proxy is to go. */
export interface ProxyTarget {
  /** A name or an address, without brackets. */
  readonly host: string;
  readonly port: number;
}

/** A request's own target in absolute form. */
export interface RequestTarget extends ProxyTarget {
  readonly isTls: boolean;
  /** What a Host header says of it. */
  readonly hostHeader: string;
  /** The target in origin form. */
  readonly path: string;
}

/** Reads a request target in absolute form, http or https (RFC 9112 §3.2.2); undefined for any other. */
export function readAbsoluteForm(text: string): RequestTarget | undefined {
  if (!/^https?:\/\//i.test(text) || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  const isTls = url.protocol === "https:";
  return {
    host: withoutBrackets(url.hostname),
    port: url.port === "" ? (isTls ? 443 : 80) : Number(url.port),
    isTls,
    hostHeader: url.host,
    // As it was written: the URL class would change what only the other end may interpret.
    path: originForm(text),
  };
}

/** Reads a request target in authority form (RFC 9112 §3.2.3), whose port is 443 where it is missing. */
export function readAuthorityForm(text: string): ProxyTarget | undefined {
  const match = /^(\[[\da-f:.]+\]|[^:[\]/@?#\s]+)(?::(\d{1,5}))?$/i.exec(text);
  const port = Number(match?.[2] ?? 443);
  if (match?.[1] === undefined || port < 1 || port > 65_535) return undefined;
  return { host: withoutBrackets(match[1]), port };
}

function originForm(text: string): string {
  const rest = text.slice(text.indexOf("//") + 2);
  const start = rest.search(/[/?#]/);
  const path = start === -1 ? "/" : rest.slice(start).replace(/#.*$/, "");
  return path.startsWith("/") ? path : `/${path}`;
}

function withoutBrackets(host: string): string {
  return host.replace(/^\[(.*)\]$/, "$1");
}
