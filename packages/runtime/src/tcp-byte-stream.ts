import type { Socket } from "node:net";
import { sharesNoMemory } from "./byte-stream.ts";
import { systemCode, TransportError } from "./errors.ts";

/**
 * Makes a connected TCP socket keep the contract of ByteStream, and returns that same socket. Node alone breaks it thrice:
 * `destroy(error)` sends FIN, so that the other end takes a cut for an end; a reset that arrives together with the last bytes
 * is reported as an end, since libuv takes the hang-up for one; and a reset bears a system's code. Not for Unix sockets,
 * which know no reset.
 */
export function tcpByteStream(socket: Socket): Socket {
  const destroy = socket._destroy.bind(socket);
  socket._destroy = (error, callback) => {
    if (error !== null && !isShuttingDown(socket)) socket.resetAndDestroy();
    destroy(error, (after) => callback(after == null ? null : fromSocket(after)));
  };
  const push = socket.push.bind(socket);
  socket.push = (chunk: unknown, encoding?: BufferEncoding) => {
    if (chunk !== null || !wasReset(socket)) return push(chunk, encoding);
    socket.destroy(new TransportError("stream_reset", "the connection was reset"));
    return false;
  };
  return Object.assign(socket, { [sharesNoMemory]: true });
}

/**
 * Whether an end is a reset in truth. A write of no bytes sends nothing, and fails at once on a socket that was reset. Once our
 * own direction has ended, or waits behind other writes, it cannot tell.
 */
function wasReset(socket: Socket): boolean {
  if (socket.destroyed || socket.writableEnded || socket.writableLength > 0) return false;
  socket.write(new Uint8Array(0));
  return socket.errored !== null;
}

/** Whether FIN is on its way: libuv refuses to reset a socket in that moment. */
function isShuttingDown(socket: Socket): boolean {
  return socket.writableEnded && !socket.writableFinished && socket.writableLength === 0;
}

function fromSocket(error: Error): Error {
  const code = systemCode(error);
  if (code !== "ECONNRESET" && code !== "EPIPE") return error;
  return new TransportError("stream_reset", "the connection was reset", { cause: error });
}
