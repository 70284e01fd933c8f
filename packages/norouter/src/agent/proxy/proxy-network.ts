import type { ByteStream } from "@culvert/runtime";

/** Where the proxies of an agent connect to. */
export interface ProxyNetwork {
  /** Whether a host is reached by the virtual network; an answer after the signal means nothing. @throws LimitError where too many ask. */
  readonly isInteresting: (host: string, signal: AbortSignal) => Promise<boolean>;
  /** Connects to an interesting host. */
  readonly dialMesh: (host: string, port: number, signal: AbortSignal) => Promise<ByteStream>;
  /** Connects to any other host, as the system does. */
  readonly dialSystem: (host: string, port: number, signal: AbortSignal) => Promise<ByteStream>;
}
