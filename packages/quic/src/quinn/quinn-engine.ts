import { TransportError, withDeadline } from "@culvert/runtime";
import type {
  DialOptions,
  EngineDeps,
  ListenOptions,
  QuicConnection,
  QuicEngine,
  QuicListener,
} from "../engine.ts";
import { loadAddon, type NativeConnection, type NativeServer } from "./addon.ts";
import { DialSocket } from "./dial-socket.ts";
import { formatAddress, listenErrorFromQuinn } from "./from-quinn.ts";
import { createNativeConfig } from "./native-config.ts";
import { QuinnConnection } from "./quinn-connection.ts";
import { QuinnListener } from "./quinn-listener.ts";
import { remoteId } from "./remote-address.ts";
import { smallBufferWarning } from "./socket-buffers.ts";

/**
 * QUIC by the native addon `@chainsafe/libp2p-quic-<platform>` (quinn), which does its I/O on threads of its own. The addon is
 * loaded at the first listen or dial, which throw TransportError `engine_missing` where it is not installed.
 *
 * What this engine cannot do: codes of resets and closes are 0; Retry and connection migration do not exist, so a peer whose
 * address changes must dial again; a peer's half-open handshake ends with the idle time-out, not the handshake time-out; a peer
 * may open 4,096 streams at most; when the peer learns of an aborted stream is told at QuinnStream.
 */
export function createQuinnEngine(deps: EngineDeps): QuicEngine {
  return new QuinnEngine(deps);
}

class QuinnEngine implements QuicEngine {
  readonly name = "quinn" as const;
  readonly #deps: EngineDeps;
  #buffersChecked = false;

  constructor(deps: EngineDeps) {
    this.#deps = deps;
  }

  async listen(options: ListenOptions): Promise<QuicListener> {
    const { address, identity, settings } = options;
    const addon = loadAddon();
    const config = createNativeConfig(addon, identity, settings);
    let native: NativeServer;
    try {
      native = new addon.Server(config, address.host, address.port);
    } catch (error) {
      throw listenErrorFromQuinn(error, address);
    }
    const listener = new QuinnListener(native, this.#deps, options);
    await this.#checkBuffers(settings.socketBufferBytes);
    return listener;
  }

  async dial(options: DialOptions): Promise<QuicConnection> {
    const { address, settings, signal } = options;
    const socket = new DialSocket(options);
    try {
      const native = await withDeadline(
        {
          clock: this.#deps.clock,
          limit: settings.handshakeTimeout,
          what: `handshake with ${formatAddress(address)}`,
          signal,
          discard: (late) => late.abort(),
        },
        () => socket.connect(),
      );
      return this.#establish(native, socket, options);
    } catch (error) {
      socket.close();
      throw error;
    }
  }

  #establish(native: NativeConnection, socket: DialSocket, options: DialOptions): QuicConnection {
    const { address, expectedPeer, settings } = options;
    const actual = remoteId(native.remoteMultiaddr());
    if (actual !== expectedPeer) {
      throw new TransportError(
        "wrong_peer",
        `${formatAddress(address)} is ${actual}, not ${expectedPeer}`,
        { data: { expected: expectedPeer, actual } },
      );
    }
    return new QuinnConnection(native, this.#deps.clock, {
      side: "client",
      peer: expectedPeer,
      remote: address,
      settings,
      release: () => socket.close(),
    });
  }

  async #checkBuffers(wantedBytes: number): Promise<void> {
    if (this.#buffersChecked) return;
    this.#buffersChecked = true;
    const warning = await smallBufferWarning(wantedBytes);
    if (warning !== undefined) this.#deps.warn(warning);
  }
}
