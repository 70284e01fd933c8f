import { ConfigError } from "@culvert/runtime";

/** Where to listen; without a host, at all addresses. */
export interface ListenAddress {
  readonly host: string | undefined;
  readonly port: number;
}

/**
 * Reads `127.0.0.1:18080`, `[::1]:18080`, `name:18080` or `:18080`.
 * @throws ConfigError `bad_address` naming the text.
 */
export function parseListenAddress(text: string): ListenAddress {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    const hint = text.includes(":") ? "not host:port" : "missing port in address";
    throw new ConfigError("bad_address", `listen tcp: address ${text}: ${hint}`, {
      data: { text },
    });
  }
  const host = match[1] ?? match[2] ?? "";
  return { host: host === "" ? undefined : host, port };
}

/** Whether only programs of this machine reach a bound address, `127.0.0.1:18080` or `[::1]:18080`. */
export function isLoopback(address: string): boolean {
  return /^(127\.|\[::1\]|\[::ffff:127\.)/.test(address);
}
