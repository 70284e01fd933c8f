import type { Stream } from "node:stream";
import { TLSSocket } from "node:tls";
import { exporterBytes, exporterLabel } from "./identity-proof.ts";

/**
 * The exporter's value of a TLS 1.3 connection that ends in this process (RFC 8446 §7.5), its handshake complete; undefined for any
 * other socket. Earlier versions of TLS bind it to the connection only with an extension nobody here could check.
 */
export function channelBindingOf(socket: Stream): Uint8Array | undefined {
  if (!(socket instanceof TLSSocket) || socket.destroyed) return undefined;
  if (socket.getProtocol() !== "TLSv1.3") return undefined;
  return new Uint8Array(
    socket.exportKeyingMaterial(exporterBytes, exporterLabel, undefined as never),
  );
}
