import { Socket } from "node:net";
import type { ByteStream } from "./byte-stream.ts";

/**
 * Destroys a stream so that its other end sees an abort, not an end. Plain `destroy(error)` does that for every stream but a TCP
 * socket: Node closes it with FIN, and the peer would take what it got for the whole. Such a socket is closed with RST. Where FIN
 * is already on its way, and on Unix sockets, there is no RST to send.
 */
export function abortStream(stream: ByteStream, error: Error): void {
  if (stream.destroyed) return;
  if (stream instanceof Socket && canReset(stream)) {
    try {
      stream.resetAndDestroy();
      return;
    } catch {
      // Not TCP underneath: a Unix socket, a named pipe, TLS.
    }
  }
  stream.destroy(error);
}

/** In the middle of sending FIN the system refuses the reset, and Node would lose the descriptor. */
function canReset(socket: Socket): boolean {
  const finUnderWay =
    socket.writableEnded && !socket.writableFinished && socket.writableLength === 0;
  return !socket.connecting && !finUnderWay;
}
