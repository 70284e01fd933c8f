import { connect, type NetConnectOpts, type Socket } from "node:net";
import {
  errorText,
  LimitError,
  systemCode,
  TransportError,
  withDeadline,
  type Clock,
  type Millis,
} from "@culvert/runtime";
import { Status, type StatusCode } from "@culvert/wire";
import { ExitError } from "./exit.ts";

/** How long to dial, and for whom. */
export interface DialLimits {
  readonly clock: Clock;
  /** From the first packet, or the look-up of the name, to the connection. */
  readonly timeout: Millis;
  readonly signal: AbortSignal;
}

/**
 * Connects a socket, which the caller owns. Its errors never go unheard.
 * @throws ExitError `target_refused`, `target_unreachable` or `target_timeout`; LimitError where the system is out of descriptors;
 * TransportError `aborted`.
 */
export async function dial(
  where: string,
  connectOptions: NetConnectOpts,
  limits: DialLimits,
): Promise<Socket> {
  try {
    return await withDeadline(
      {
        clock: limits.clock,
        limit: limits.timeout,
        what: where,
        signal: limits.signal,
        discard: (late) => late.destroy(),
      },
      (signal) => connected(connectOptions, signal),
    );
  } catch (error) {
    throw dialError(where, error);
  }
}

function connected(options: NetConnectOpts, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(options);
    const onAbort = (): void => {
      socket.destroy();
    };
    signal.addEventListener("abort", onAbort, { once: true });
    // Stays, so that an error between this moment and the splice does not end the process.
    socket.on("error", reject);
    socket.once("connect", () => {
      signal.removeEventListener("abort", onAbort);
      resolve(socket);
    });
  });
}

/** Says who is to blame that a target was not reached, in the word of PROTOCOL.md §5. */
export function dialError(where: string, error: unknown): Error {
  if (error instanceof TransportError) {
    return error.code === "timeout"
      ? new ExitError(Status.target_timeout, `${where} did not answer in time`, error)
      : error;
  }
  const codes = systemCodes(error);
  const shown = codes.length > 0 ? codes.join(", ") : errorText(error);
  if (codes.some((code) => exhaustedCodes.has(code))) {
    return new LimitError(
      "too_many_connections",
      `the server's system is out of sockets: ${shown}`,
      {
        data: { limit: "descriptors" },
        cause: error,
      },
    );
  }
  const [status, verb] = blame(codes);
  return new ExitError(status, `${where} ${verb} (${shown})`, error);
}

function blame(codes: readonly string[]): readonly [StatusCode, string] {
  if (codes.some((code) => refusedCodes.has(code))) {
    return [Status.target_refused, "refused the connection"];
  }
  if (codes.includes("ETIMEDOUT")) return [Status.target_timeout, "did not answer in time"];
  return [Status.target_unreachable, "cannot be reached"];
}

/** The codes of an error, or of the errors of all addresses that were tried. */
function systemCodes(error: unknown): readonly string[] {
  const errors: readonly unknown[] = error instanceof AggregateError ? error.errors : [error];
  return [...new Set(errors.flatMap((each) => systemCode(each) ?? []))];
}

/** A Unix socket's file that does not exist is a service that does not run: refused, as a closed port is. */
const refusedCodes = new Set(["ECONNREFUSED", "ECONNRESET", "ENOENT"]);
const exhaustedCodes = new Set(["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"]);
