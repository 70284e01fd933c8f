import { TLSSocket, type SecureContext } from "node:tls";
import {
  TransportError,
  withDeadline,
  type ByteStream,
  type Clock,
  type Millis,
} from "@culvert/runtime";

/** How to end TLS. */
export interface EndTlsOptions {
  readonly clock: Clock;
  readonly secureContext: SecureContext;
  /** For the whole handshake. */
  readonly limit: Millis;
  readonly signal: AbortSignal;
}

/**
 * Ends TLS 1.2 or 1.3 that a client began on a stream, and gives the plain text, which the caller owns instead of the stream.
 * Offers HTTP/1.1 to clients that choose a protocol.
 * @throws TransportError `handshake_failed`, `timeout` or `aborted`; the stream is destroyed then.
 */
export async function endTls(stream: ByteStream, options: EndTlsOptions): Promise<ByteStream> {
  const { clock, secureContext, limit, signal } = options;
  const socket = new TLSSocket(stream, {
    isServer: true,
    secureContext,
    ALPNProtocols: ["http/1.1"],
  });
  // Stays, so that no error between two owners goes unheard.
  socket.on("error", () => undefined);
  try {
    await withDeadline({ clock, limit, what: "the TLS handshake", signal }, () => secured(socket));
    return socket;
  } catch (error) {
    socket.destroy();
    stream.destroy(error instanceof Error ? error : undefined);
    throw error;
  }
}

function secured(socket: TLSSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (text: string, cause?: unknown): void => {
      reject(
        new TransportError("handshake_failed", `the TLS handshake failed: ${text}`, { cause }),
      );
    };
    socket.once("secure", () => resolve());
    socket.once("error", (error: Error) => fail(error.message, error));
    socket.once("close", () => fail("the client left"));
  });
}
