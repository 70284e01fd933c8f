import type { Config } from "@matrixai/quic/native/types.js";
import { withDeadline } from "@culvert/runtime";
import {
  createCertificate,
  type Identity,
  type PeerId,
  type TlsCertificate,
} from "@culvert/identity";
import type {
  DialOptions,
  EngineDeps,
  ListenOptions,
  QuicConnection,
  QuicEngine,
  QuicListener,
} from "../engine.ts";
import type { QuicSettings } from "../settings.ts";
import { loadQuicheBinding } from "./binding.ts";
import { dialQuiche } from "./dialer.ts";
import type { EngineParts } from "./engine-parts.ts";
import { QuicheListener } from "./listener.ts";
import { ReadBuffer } from "./read-buffer.ts";
import { congestionControlFor, createTransportConfig } from "./transport-config.ts";
import { TurnScheduler } from "./turn-scheduler.ts";
import { bufferWarning } from "./udp-buffers.ts";
import { UdpSocket } from "./udp-socket.ts";

/**
 * The engine on quiche 0.18: fastest where both ends share a machine. The native library loads with the first listen or dial.
 *
 * A peer that has completed a handshake can freeze the process through defects of this quiche version, so a listener that strangers
 * reach should use another engine.
 */
export function createQuicheEngine(deps: EngineDeps): QuicEngine {
  return new QuicheEngine(deps);
}

class QuicheEngine implements QuicEngine {
  readonly name = "quiche" as const;
  readonly #deps: EngineDeps;
  readonly #certificates = new Map<PeerId, Promise<TlsCertificate>>();
  readonly #scheduler = new TurnScheduler();
  #parts: Promise<EngineParts> | undefined;
  #warned = false;

  constructor(deps: EngineDeps) {
    this.#deps = deps;
  }

  async listen(options: ListenOptions): Promise<QuicListener> {
    const { address, identity, settings } = options;
    const parts = await this.#load();
    const certificate = await parts.certificateOf(identity);
    const socket = await UdpSocket.open({
      bind: address,
      bufferBytes: settings.socketBufferBytes,
      datagramBytes: settings.datagramBytes,
    });
    const control = congestionControlFor(settings, parts.checkBuffers(socket, settings));
    let config: Config;
    try {
      config = createTransportConfig(parts.binding, certificate, settings, control);
    } catch (error) {
      socket.close();
      throw error;
    }
    return new QuicheListener({ ...parts, socket, config }, options);
  }

  dial(options: DialOptions): Promise<QuicConnection> {
    const { address, settings, signal } = options;
    return withDeadline<QuicConnection>(
      {
        clock: this.#deps.clock,
        limit: settings.handshakeTimeout,
        what: `handshake with ${address.host} port ${address.port}`,
        signal,
        discard: (late) => late.close({ by: "us", code: "late", text: "nobody waits any more" }),
      },
      async (waiting) => dialQuiche(await this.#load(), options, waiting),
    );
  }

  #load(): Promise<EngineParts> {
    this.#parts ??= loadQuicheBinding().then((binding) => ({
      binding,
      clock: this.#deps.clock,
      random: this.#deps.random,
      scheduler: this.#scheduler,
      readBuffer: new ReadBuffer(),
      certificateOf: (identity) => this.#certificateOf(identity),
      warnOfFault: (text) => this.#deps.warn({ code: "engine_fault", text, data: {} }),
      warnOfSize: (datagramBytes) =>
        this.#deps.warn({
          code: "datagram_too_large",
          text: `the kernel refuses to send ${datagramBytes} bytes in one datagram to some peer; make datagramBytes smaller`,
          data: { datagramBytes },
        }),
      checkBuffers: (socket, settings) => this.#checkBuffers(socket, settings),
    }));
    return this.#parts;
  }

  #certificateOf(identity: Identity): Promise<TlsCertificate> {
    const known = this.#certificates.get(identity.peerId);
    if (known !== undefined) return known;
    const made = createCertificate(identity, { wallNowMs: this.#deps.clock.wallNowMs() });
    this.#certificates.set(identity.peerId, made);
    made.catch(() => this.#certificates.delete(identity.peerId));
    return made;
  }

  /** Warns once where buffers are smaller than asked. Returns whether they are not. */
  #checkBuffers(socket: UdpSocket, settings: QuicSettings): boolean {
    const { receive, send } = socket.grantedBuffers();
    const grant = {
      asked: settings.socketBufferBytes,
      receive,
      send,
      platform: process.platform,
    };
    const warning = bufferWarning(grant);
    if (warning === undefined) return true;
    if (!this.#warned) this.#deps.warn(warning);
    this.#warned = true;
    return false;
  }
}
