import { isIPv6 } from "node:net";
import { InternalError, errorText, TransportError, type CloseReason } from "@culvert/runtime";
import type { DialOptions, QuicConnection } from "../engine.ts";
import { ConnectionDriver, type DriverDeps, type DriverOwner } from "./connection-driver.ts";
import type { EngineParts } from "./engine-parts.ts";
import { GuardedConnection } from "./guarded-connection.ts";
import { ownIdBytes } from "./packet-header.ts";
import { PeerPaths } from "./peer-paths.ts";
import { QuicheConnection } from "./quiche-connection.ts";
import { ResetTokens } from "./reset-tokens.ts";
import { congestionControlFor, createTransportConfig } from "./transport-config.ts";
import { UdpSocket } from "./udp-socket.ts";

/**
 * Dials from a socket of its own. When `waiting` aborts before the connection is established, everything is released.
 * @throws TransportError as {@link QuicEngine.dial} says.
 */
export async function dialQuiche(
  parts: EngineParts,
  options: DialOptions,
  waiting: AbortSignal,
): Promise<QuicConnection> {
  const { address, identity, settings } = options;
  const certificate = await parts.certificateOf(identity);
  const socket = await UdpSocket.open({
    bind: { host: isIPv6(address.host) ? "::" : "0.0.0.0", port: 0 },
    connect: address,
    bufferBytes: settings.socketBufferBytes,
    datagramBytes: settings.datagramBytes,
  }).catch((error: unknown) => {
    throw new TransportError("dial_failed", errorText(error), { cause: error });
  });
  const control = congestionControlFor(settings, parts.checkBuffers(socket, settings));
  const paths = new PeerPaths(socket.address, address, parts.clock.now());
  let link: GuardedConnection;
  try {
    const config = createTransportConfig(parts.binding, certificate, settings, control);
    const id = parts.random.bytes(ownIdBytes);
    link = new GuardedConnection(
      parts.binding.Connection.connect(null, id, paths.local, paths.quicheRemote, config),
    );
  } catch (error) {
    socket.close();
    const text = `quiche does not connect: ${errorText(error)}`;
    throw new InternalError("engine_fault", text, { cause: error });
  }
  return drive(
    { ...parts, socket, link, paths, resetTokens: new ResetTokens(identity, socket.address) },
    options,
    waiting,
  );
}

function drive(
  deps: Omit<DriverDeps, "owner">,
  options: DialOptions,
  waiting: AbortSignal,
): Promise<QuicConnection> {
  const { address, expectedPeer, settings } = options;
  const { clock, socket } = deps;
  return new Promise((resolve, reject) => {
    let connection: QuicheConnection | undefined;
    const owner: DriverOwner = {
      established(peer) {
        waiting.removeEventListener("abort", giveUp);
        if (peer === expectedPeer) {
          connection = new QuicheConnection(driver, peer);
          resolve(connection);
          return;
        }
        const text = `${address.host} port ${address.port} is ${peer}, not ${expectedPeer}`;
        const data = { expected: expectedPeer, actual: peer };
        const error = new TransportError("wrong_peer", text, { data });
        driver.close(
          { by: "us", code: "wrong_peer", text: "not the peer that was dialled" },
          error,
        );
      },
      ended(reason, cause) {
        waiting.removeEventListener("abort", giveUp);
        void socket.closeWhenFlushed(clock);
        connection?.handleEnded(reason);
        reject(dialError(address, reason, cause));
      },
      // The socket has one peer: whatever comes is for this connection.
      idAdded: () => undefined,
      idRetired: () => undefined,
    };
    const driver = new ConnectionDriver({ ...deps, owner }, { isServer: false, settings });
    const giveUp = (): void =>
      driver.close({ by: "us", code: "given_up", text: "nobody waits for the handshake any more" });
    socket.handle({
      onDatagram: (datagram, from) => void driver.receive(datagram, from),
      onError: (error) => driver.handleSocketError(error),
    });
    if (waiting.aborted) giveUp();
    else waiting.addEventListener("abort", giveUp, { once: true });
  });
}

function dialError(
  { host, port }: DialOptions["address"],
  reason: CloseReason,
  cause: Error | undefined,
): Error {
  if (cause instanceof TransportError) return cause;
  const code =
    reason.by === "network"
      ? "dial_failed"
      : reason.by === "timeout"
        ? "timeout"
        : "handshake_failed";
  const text = `${host} port ${port}: ${reason.text}`;
  return new TransportError(code, text, { data: { host, port, reason: reason.code }, cause });
}
