import { generateIdentity, type Identity } from "@culvert/identity";
import { millis, systemClock, systemRandom } from "@culvert/runtime";
import type { SessionListener } from "../quic-listen.ts";
import type { Session } from "../session.ts";
import { wssDialer, type WssDialerOptions } from "./wss-dialer.ts";
import { listenWss, type WssListenOptions } from "./wss-listen.ts";
import type { WssSettings } from "./wss-settings.ts";

/** Settings for tests: small windows. */
export const testSettings: WssSettings = {
  streamWindowBytes: 256 * 1024,
  sessionWindowBytes: 16 * 1024 * 1024,
  maxStreams: 1_000,
  keepAlive: millis(1_000),
  idleTimeout: millis(8_000),
  handshakeTimeout: millis(5_000),
};

/** Peers of tests; making keys anew for each would prove nothing. */
export const relayIdentity: Identity = generateIdentity();
/** Who dials. */
export const boxIdentity: Identity = generateIdentity();

/** The real clock, and no names. */
export const testDeps = {
  clock: systemClock,
  random: systemRandom,
  lookUp: (): Promise<never> => Promise.reject(new Error("no names here")),
};

/** A listener on a free port of this machine. */
export function listenLocally(options: Partial<WssListenOptions> = {}): Promise<SessionListener> {
  return listenWss(testDeps, {
    address: { host: "127.0.0.1", port: 0 },
    identity: relayIdentity,
    settings: testSettings,
    certificate: "identity",
    ...options,
  });
}

/** Dials once. */
export function dialOnce(
  options: Pick<WssDialerOptions, "relay"> & Partial<WssDialerOptions>,
  deps: Partial<typeof testDeps> = {},
): Promise<Session> {
  const dial = wssDialer(
    { ...testDeps, ...deps },
    {
      relayId: relayIdentity.peerId,
      identity: boxIdentity,
      settings: testSettings,
      behindProxy: false,
      ...options,
    },
  );
  return dial(new AbortController().signal);
}

/** The next session of a listener. */
export async function nextSession(listener: SessionListener): Promise<Session> {
  const next = await listener.sessions[Symbol.asyncIterator]().next();
  if (next.done === true) throw new Error("the listener ended");
  return next.value;
}
