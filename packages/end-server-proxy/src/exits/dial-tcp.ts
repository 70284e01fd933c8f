import { isIPv6, type LookupFunction, type Socket } from "node:net";
import { dial, type DialLimits } from "./dial.ts";
import { tcpByteStream } from "@culvert/runtime";

/** What to dial over TCP, and how long. */
export interface DialTcpOptions extends DialLimits {
  /** A name or an IP address, for messages and, without `addresses`, for the look-up. */
  readonly host: string;
  readonly port: number;
  /** Where given, these are dialled and nothing is looked up. At least one. */
  readonly addresses?: readonly string[] | undefined;
}

/**
 * Dials TCP, trying a name's addresses one after the other without waiting for slow ones (RFC 8305). The socket, which the
 * caller owns, sends without delay, has half-close, and keeps the contract of ByteStream.
 * @throws as `dial`.
 */
export async function dialTcp(options: DialTcpOptions): Promise<Socket> {
  const { host, port, addresses } = options;
  const where = isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
  const socket = await dial(
    where,
    {
      host: addresses?.length === 1 ? addresses[0] : host,
      port,
      ...(addresses === undefined ? {} : { lookup: lookupIn(addresses) }),
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: keepAliveMs,
      autoSelectFamily: true,
      autoSelectFamilyAttemptTimeout: attemptTimeoutMs,
    },
    options,
  );
  return tcpByteStream(socket);
}

/** A look-up that knows its answer. */
function lookupIn(addresses: readonly string[]): LookupFunction {
  const all = addresses.map((address) => ({ address, family: isIPv6(address) ? 6 : 4 }));
  return (_host, options, callback) => {
    if (options.all === true) callback(null, all);
    else callback(null, all[0]?.address ?? "", all[0]?.family);
  };
}

/** After this much silence the system asks whether the target still lives, so that a vanished one cannot hold a connection for ever. */
const keepAliveMs = 60_000;
/** How long one of several addresses may take before the next is tried (RFC 8305 §5); the last may take all the time there is. */
const attemptTimeoutMs = 250;
