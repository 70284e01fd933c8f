import type { Identity, PeerId } from "@culvert/identity";
import { Netstack, type TcpConnection } from "@culvert/netstack";
import {
  TransportError,
  withDeadline,
  type Clock,
  type CloseReason,
  type Random,
} from "@culvert/runtime";
import { quoteText, type ControlMessage } from "@culvert/wire";
import type { Carrier } from "../mproxy/carrier.ts";
import {
  DiallerProof,
  ListenerProof,
  type ProofExchange,
  type ProvedPeer,
} from "../mproxy/identity-proof-exchange.ts";
import { nonceBytes } from "../mproxy/identity-proof.ts";
import { proveTunnel } from "../mproxy/prove-session.ts";
import { StreamCarrier } from "../mproxy/stream-carrier.ts";
import type { Tunnel } from "../mproxy/tunnel-api.ts";
import { sessionTerms, tunnelSettings, type WssSettings } from "../mproxy/wss-settings.ts";
import type { Session } from "../session.ts";
import { egressDefaults, norouterAddresses } from "./norouter-defaults.ts";
import { endLink, NorouterSession } from "./norouter-session.ts";
import { PacketPipe } from "./packet-pipe.ts";

/** What a session over a pipe needs from outside. */
export interface NorouterDeps {
  readonly clock: Clock;
  readonly random: Random;
}

/** Over which pipe, as whom, and with what bounds. */
interface NorouterOptions {
  /** Fresh and not started; owned from the call on, and closed where this fails. */
  readonly carrier: Carrier;
  readonly identity: Identity;
  /** The same bounds as a session by WebSocket has; `handshakeTimeout` is for the whole of it. */
  readonly settings: WssSettings;
  readonly signal?: AbortSignal | undefined;
}

/** The end that was started, and that knows its relay. */
export interface DialNorouterOptions extends NorouterOptions {
  readonly relayId: PeerId;
}

/** The end that started the other. */
export interface AcceptNorouterOptions extends NorouterOptions {
  /** The only peer accepted at the other end. */
  readonly expected: PeerId;
}

/**
 * Makes a session over standard input and output that another process gave us; it proves itself first (PROTOCOL.md §14).
 * @throws WireError or TransportError: `wrong_peer`, `handshake_failed`, `timeout`, `aborted`, or `connection_closed` with what ended
 * it: the peer's reason, or the pipe's.
 */
export function dialNorouter(deps: NorouterDeps, options: DialNorouterOptions): Promise<Session> {
  const { identity, relayId, settings } = options;
  const exchange = new DiallerProof({
    identity,
    relayId,
    bindings: [{ kind: "challenge" }],
    nonce: deps.random.bytes(nonceBytes),
    terms: sessionTerms(settings),
    domain: "norouter",
  });
  return open(deps, options, "dialler", exchange);
}

/**
 * Makes a session over the standard input and output of a process that we have started: waits for it to connect, proves us to it, and
 * has it prove itself (PROTOCOL.md §14).
 * @throws as {@link dialNorouter}.
 */
export function acceptNorouter(
  deps: NorouterDeps,
  options: AcceptNorouterOptions,
): Promise<Session> {
  const { identity, settings, expected } = options;
  const exchange = new ListenerProof({
    identity,
    binding: { kind: "challenge" },
    nonce: deps.random.bytes(nonceBytes),
    terms: sessionTerms(settings),
    domain: "norouter",
  });
  return open(deps, options, "listener", exchange, ({ id }) => {
    if (id === expected) return;
    const message = `this link is for peer ${expected}, and ${id} is at its other end`;
    throw new TransportError("wrong_peer", message, { data: { expected, met: id } });
  });
}

type Role = "dialler" | "listener";

async function open(
  deps: NorouterDeps,
  options: NorouterOptions,
  role: Role,
  exchange: ProofExchange,
  judge: (peer: ProvedPeer) => void = () => undefined,
): Promise<Session> {
  const { clock, random } = deps;
  const { carrier, settings, signal } = options;
  const lost = new LostPipe();
  const pipe = new PacketPipe(carrier, egressDefaults, {
    packet: (packet) => stack.receive(packet),
    drained: () => stack.roomAgain(),
    closed: (reason) => lost.because(reason),
  });
  const stack: Netstack = new Netstack({
    clock,
    random,
    output: (packet) => pipe.send(packet),
    hasRoom: () => pipe.hasRoom,
    addresses: [norouterAddresses[role]],
    limits: { connections: 2 * settings.maxStreams + mostClosing, timeWait: mostClosing },
    tcp: { receiveBufferBytes: settings.streamWindowBytes, timeWaitMs },
  });
  const what = `session with ${carrier.remote}`;
  const limit = settings.handshakeTimeout;
  try {
    return await withDeadline({ clock, limit, what, signal }, (ended) =>
      Promise.race([
        lost.rejection,
        controlConnection(stack, role, options, ended).then((connection) => {
          const ends = { readable: connection, writable: connection };
          const { remote } = carrier;
          const over = new StreamCarrier(ends, { clock, kind: "stdio", remote });
          const proof = { clock, carrier: over, role, exchange, deadline: limit, signal: ended };
          return proveTunnel({ ...proof, settings: tunnelSettings(settings) }, (control, peer) => {
            judge(peer);
            const session = new NorouterSession({
              pipe,
              stack,
              control,
              role,
              remote,
              peer: peer.id,
              maxStreams: settings.maxStreams,
              peerMaxStreams: peer.terms.maxStreams,
            });
            lost.tell = (reason) => control.close(reason);
            return welcomed(control, role).then(() => session);
          });
        }),
      ]),
    );
  } catch (error) {
    endLink({ pipe, stack }, { by: "us", code: "handshake_failed", text: "no session" });
    throw error;
  }
}

/** The end that was started connects, when it is ready; the other waits for it. */
function controlConnection(
  stack: Netstack,
  role: Role,
  { settings }: NorouterOptions,
  signal: AbortSignal,
): Promise<TcpConnection> {
  const at = { address: norouterAddresses.listener, port: norouterAddresses.controlPort };
  if (role === "dialler") {
    return stack.connect(at, { timeoutMs: settings.handshakeTimeout, signal });
  }
  return new Promise((resolve) => {
    const listener = stack.listen(at, { backlog: 1 }, (connection) => {
      connection.on("error", () => undefined);
      listener.close();
      resolve(connection);
    });
  });
}

/** The listener has the last word in the proof: that it takes the dialler for whom it says it is. */
function welcomed(control: Tunnel, role: Role): Promise<void> {
  if (role === "listener") {
    control.control.send(welcome);
    // Whatever else the peer has to say, it says on streams.
    control.control.on(() => undefined);
    return Promise.resolve();
  }
  return new Promise((resolve, reject) => {
    control.control.on(() => resolve());
    void control.closed.then(({ by, text }) => {
      const message = `the peer refused us: ${quoteText(text, 300)}`;
      reject(new TransportError("refused", message, { data: { by } }));
    });
  });
}

/** Connections that are over and remember it: in a pipe nothing comes late. */
const mostClosing = 1_024;
const timeWaitMs = 1_000;
const welcome: ControlMessage = { type: "command", id: 3, command: "welcome", args: [] };

/** Remembers why a pipe ended until somebody is told. */
class LostPipe {
  /** Rejects where the pipe ends before somebody is to be told. */
  readonly rejection: Promise<never>;
  #reject: (error: Error) => void = () => undefined;
  #tell: ((reason: CloseReason) => void) | undefined;
  #reason: CloseReason | undefined;

  constructor() {
    this.rejection = new Promise((_resolve, reject) => (this.#reject = reject));
    this.rejection.catch(() => undefined);
  }

  /** Not at once: the peer's goodbye may have come right before the end, and says more. */
  because(reason: CloseReason): void {
    setImmediate(() => {
      this.#reason = reason;
      this.#reject(
        new TransportError("connection_closed", reason.text, {
          data: { by: reason.by, code: reason.code },
        }),
      );
      this.#tell?.(reason);
    });
  }

  set tell(tell: (reason: CloseReason) => void) {
    this.#tell = tell;
    if (this.#reason !== undefined) tell(this.#reason);
  }
}
