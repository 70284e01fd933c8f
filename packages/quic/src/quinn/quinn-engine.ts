import { isIP } from "node:net";
import { TransportError, withDeadline } from "@culvert/runtime";
import type {
  DialOptions,
  EngineDeps,
  ListenOptions,
  QuicConnection,
  QuicEngine,
  QuicListener,
} from "../engine.ts";
import { loadAddon, type NativeClient, type NativeConnection, type NativeServer } from "./addon.ts";
import { dialErrorFromQuinn, formatAddress, listenErrorFromQuinn } from "./from-quinn.ts";
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
 * address changes must dial again; a peer's half-open handshake ends with the idle time-out, not the handshake time-out.
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
    const listener = new QuinnListener(native, this.#deps.clock, options);
    await this.#checkBuffers(settings.socketBufferBytes);
    return listener;
  }

  async dial(options: DialOptions): Promise<QuicConnection> {
    const { address, settings, signal } = options;
    const client = createClient(options);
    try {
      const native = await withDeadline(
        {
          clock: this.#deps.clock,
          limit: settings.handshakeTimeout,
          what: `handshake with ${formatAddress(address)}`,
          signal,
          discard: (late) => late.abort(),
        },
        () => connect(client, options),
      );
      return this.#establish(native, client, options);
    } catch (error) {
      client.abort();
      throw error;
    }
  }

  #establish(native: NativeConnection, client: NativeClient, options: DialOptions): QuicConnection {
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
      release: () => client.abort(),
    });
  }

  async #checkBuffers(wantedBytes: number): Promise<void> {
    if (this.#buffersChecked) return;
    this.#buffersChecked = true;
    const warning = await smallBufferWarning(wantedBytes);
    if (warning !== undefined) this.#deps.warn(warning);
  }
}

/** Each dial has a socket of its own: the addon cannot give up a dial but by closing its socket. */
function createClient({ address, identity, settings }: DialOptions): NativeClient {
  const addon = loadAddon();
  const version = isIP(address.host);
  if (version === 0) {
    throw new TransportError("dial_failed", `${formatAddress(address)} is no IP address`, {
      data: { ...address },
    });
  }
  try {
    return new addon.Client(createNativeConfig(addon, identity, settings), version === 4 ? 0 : 1);
  } catch (error) {
    throw dialErrorFromQuinn(error, address);
  }
}

async function connect(client: NativeClient, { address }: DialOptions): Promise<NativeConnection> {
  try {
    return await client.outboundConnection(address.host, address.port);
  } catch (error) {
    throw dialErrorFromQuinn(error, address);
  }
}
