import { connect, isIPv6, type Socket } from "node:net";
import {
  errorText,
  systemCode,
  tcpByteStream,
  TransportError,
  withDeadline,
  type ByteStream,
  type Clock,
  type Millis,
} from "@culvert/runtime";

/** How long to dial, and for whom. */
export interface DialLimits {
  readonly clock: Clock;
  readonly limit: Millis;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Connects to a host as the system knows it. The caller owns the stream; its errors never go unheard.
 * @throws TransportError `refused`, `timeout`, `aborted`, `name_not_found` or `dial_failed`; `data.code` is the system's.
 */
export async function osDial(host: string, port: number, limits: DialLimits): Promise<ByteStream> {
  const where = isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
  return await withDeadline(
    { ...limits, what: where, discard: (late: Socket) => late.destroy() },
    (signal) => connected(host, port, signal),
  ).then(tcpByteStream, (error: unknown) => {
    throw dialError(where, error);
  });
}

function connected(host: string, port: number, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      host,
      port,
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: keepAliveMs,
      autoSelectFamily: true,
    });
    const onAbort = (): void => void socket.destroy();
    signal.addEventListener("abort", onAbort, { once: true });
    // Stays, so that an error between this moment and the splice does not end the process.
    socket.on("error", reject);
    socket.once("connect", () => {
      signal.removeEventListener("abort", onAbort);
      resolve(socket);
    });
  });
}

function dialError(where: string, error: unknown): TransportError {
  if (error instanceof TransportError) return error;
  const code = firstCode(error);
  const details = { data: { where, code }, cause: error };
  const text = `${where}: ${errorText(error)}`;
  switch (code) {
    case "ECONNREFUSED":
    case "ECONNRESET":
      return new TransportError("refused", text, details);
    case "ETIMEDOUT":
      return new TransportError("timeout", text, details);
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return new TransportError("name_not_found", text, details);
    default:
      return new TransportError("dial_failed", text, details);
  }
}

function firstCode(error: unknown): string | undefined {
  const errors: readonly unknown[] = error instanceof AggregateError ? error.errors : [error];
  return errors.map(systemCode).find((code) => code !== undefined);
}

/** After this much silence the system asks whether the other end still lives. */
const keepAliveMs = 60_000;
