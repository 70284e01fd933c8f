import { errorText, TransportError, withDeadline, type Clock, type Millis } from "@culvert/runtime";
import { quoteText } from "@culvert/wire";
import type { Session } from "../session.ts";
import type { Carrier } from "./carrier.ts";
import type { ProofExchange, ProvedPeer } from "./identity-proof-exchange.ts";
import { MproxySession } from "./mproxy-session.ts";
import type { Tunnel, TunnelSettings } from "./tunnel-api.ts";
import { tunnelDefaults } from "./tunnel-defaults.ts";
import { MproxyTunnel } from "./tunnel.ts";

/** How two ends prove themselves over a fresh carrier. */
export interface ProveSessionOptions {
  readonly clock: Clock;
  /** Not started; owned from the call on, and closed where this fails. */
  readonly carrier: Carrier;
  readonly role: "dialler" | "listener";
  /** Our part of the proof. */
  readonly exchange: ProofExchange;
  readonly settings: Partial<TunnelSettings>;
  /** The whole of it must be done this long after the call. */
  readonly deadline: Millis;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Proves identities both ways over a carrier (PROTOCOL.md §12.2), and makes the session. Before the peer is proved nothing of it but
 * hello and proof is looked at.
 * @throws WireError or TransportError: `wrong_peer`, `handshake_failed`, `timeout`, `aborted`, or `connection_closed` with the peer's
 * reason.
 */
export function proveSession(options: ProveSessionOptions): Promise<Session> {
  const maxStreams = options.settings.maxStreams ?? tunnelDefaults.maxStreams;
  return proveTunnel(options, (tunnel, { id, terms }) => {
    // Whatever else it has to say, it says on streams.
    tunnel.control.on(() => undefined);
    const { windowBytes: sendWindowBytes, maxStreams: allowed, capabilities } = terms;
    const halfClose = capabilities.includes("half-close");
    const agreement = { sendWindowBytes, maxStreams: allowed, halfClose };
    return new MproxySession({ tunnel, peer: id, agreement, maxStreams });
  });
}

/**
 * The same, with what comes of a proved tunnel left to `made`: it is called at once, since what the peer does next may come right
 * behind its proof. Where it throws, the peer is told why.
 * @throws as {@link proveSession}.
 */
export function proveTunnel<T>(
  options: ProveSessionOptions,
  made: (tunnel: Tunnel, peer: ProvedPeer) => T | Promise<T>,
): Promise<T> {
  const { clock, carrier, deadline, signal } = options;
  const what = `proof of identity with ${carrier.remote}`;
  const dialect = `culvert-${options.role}` as const;
  const tunnel = new MproxyTunnel({ clock, carrier }, { dialect, settings: options.settings });
  const proved = withDeadline({ clock, limit: deadline, what, signal }, () =>
    exchangeProofs(tunnel, options.exchange, made),
  );
  proved.catch((error: unknown) => {
    tunnel.close({ by: "us", code: "handshake_failed", text: errorText(error) });
  });
  return proved;
}

function exchangeProofs<T>(
  tunnel: Tunnel,
  exchange: ProofExchange,
  made: (tunnel: Tunnel, peer: ProvedPeer) => T | Promise<T>,
): Promise<T> {
  return new Promise((resolve, reject) => {
    let settled = false;
    tunnel.control.on((message) => {
      if (settled) return;
      try {
        const { send, proved } = exchange.receive(message);
        for (const answer of send) tunnel.control.send(answer);
        if (proved === undefined) return;
        settled = true;
        resolve(made(tunnel, proved));
      } catch (error) {
        settled = true;
        reject(error instanceof Error ? error : new Error(String(error)));
      }
    });
    void tunnel.closed.then(({ by, text }) => {
      const who = by === "us" ? "we" : "the peer";
      const message = `${who} ended the session before it was proved: ${quoteText(text, 200)}`;
      reject(new TransportError("connection_closed", message, { data: { by } }));
    });
    for (const message of exchange.begin()) tunnel.control.send(message);
  });
}
