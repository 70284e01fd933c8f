import { randomBytes } from "node:crypto";
import { lookup } from "node:dns/promises";
import { onTestFinished } from "vitest";
import { loadIdentityFile, parsePeerId, type Identity } from "@culvert/identity";
import { quicDefaults, type QuicSettings } from "@culvert/quic";
import { millis, systemClock, systemRandom, type ByteStream } from "@culvert/runtime";
import {
  attach,
  createEngines,
  listenQuic,
  quicDialer,
  readTip,
  type EnginePolicy,
  type Session,
  type SessionListener,
} from "@culvert/transport";
import { type AttachAnswer, type Tip } from "@culvert/wire";
import type { Trial } from "./trial.ts";
import { waitUntil } from "./wait.ts";

const engines = createEngines({
  clock: systemClock,
  random: systemRandom,
  warn: () => undefined,
});
const policy: EnginePolicy = {
  engine: "auto",
  datagramBytes: undefined,
  allowQuicheListener: false,
};

/** Dials the trial's relay (or another port) with the key in a file; attaches to nothing. Closed at the end of the test. */
export async function dialRelay(
  trial: Trial,
  keyFile: string,
  settings: Partial<QuicSettings> = {},
  port = trial.relayPort,
): Promise<Session> {
  const relay = await loadIdentityFile(trial.path("relay.key"));
  const dial = quicDialer(
    { clock: systemClock, engines, lookUp: (host) => lookup(host, { all: true }) },
    {
      relay: { host: "127.0.0.1", port },
      relayId: parsePeerId(relay.peerId),
      identity: await loadIdentityFile(keyFile),
      policy,
      settings: { ...quicDefaults, ...settings },
    },
  );
  const session = await dial(new AbortController().signal);
  onTestFinished(() => {
    session.close({ by: "us", code: "done", text: "the test is over" });
  });
  return session;
}

/** Attaches a dialled session as a lawful client or server; gives what the relay says. */
export function attachAs(
  session: Session,
  role: "client" | "server",
  options: { readonly transient?: boolean; readonly instanceId?: Uint8Array } = {},
): Promise<AttachAnswer> {
  const message = {
    kind: "attach",
    role,
    services: [],
    instanceId: options.instanceId ?? randomBytes(16),
    transient: options.transient ?? false,
    software: "raw/0",
    capabilities: [],
  } as const;
  const deadlines = { attach: message, tipDeadline: millis(5_000) };
  return attach(session, deadlines, systemClock, new AbortController().signal);
}

/** A relay of the test's own, with the trial's relay key and port, that speaks as the test likes. */
export interface FakeRelay {
  readonly listener: SessionListener;
  readonly identity: Identity;
  /** Sessions dialled so far, oldest first; each one's first stream was read and answered by `answerAttach`. */
  readonly sessions: readonly Session[];
  /** Attaches seen so far. */
  readonly attaches: number;
}

/** What a fake relay does with streams. */
export interface FakeRelayOptions {
  /** Answers the stream of an Attach that was read. */
  readonly answerAttach: (stream: ByteStream) => void;
  /** Takes later streams that the peer opens. */
  readonly serve?: (stream: ByteStream) => void;
}

/** Listens as the trial's relay for as long as the test runs. */
export async function useFakeRelay(trial: Trial, options: FakeRelayOptions): Promise<FakeRelay> {
  const identity = await loadIdentityFile(trial.path("relay.key"));
  const listener = await listenQuic(engines, {
    address: { host: "127.0.0.1", port: trial.relayPort },
    identity,
    policy,
    settings: quicDefaults,
  });
  onTestFinished(() => listener.close());
  const sessions: Session[] = [];
  const counted = { attaches: 0 };
  const serve = async (session: Session): Promise<void> => {
    let first = true;
    for await (const stream of session.streams) {
      stream.on("error", () => undefined);
      if (!first) {
        options.serve?.(stream);
        continue;
      }
      first = false;
      await readTip(stream, { clock: systemClock, deadline: millis(5_000) }).catch(() => undefined);
      counted.attaches += 1;
      sessions.push(session);
      options.answerAttach(stream);
    }
  };
  void (async () => {
    for await (const session of listener.sessions) void serve(session).catch(() => undefined);
  })();
  return {
    listener,
    identity,
    sessions,
    get attaches() {
      return counted.attaches;
    },
  };
}

/** The newest session of a fake relay, once there is one. */
export function attachedSession(relay: FakeRelay): Promise<Session> {
  return waitUntil("a session at the fake relay", () => relay.sessions.at(-1), {
    withinMs: 10_000,
  });
}

/** What became of a stream that was opened with these bytes. */
export type Outcome =
  | { readonly kind: "answered"; readonly tip: Tip; readonly tookMs: number }
  | { readonly kind: "closed"; readonly why: string; readonly tookMs: number };

/** Opens a stream, writes bytes (and FIN if asked), and waits up to `ms` for an answer, an end or a reset. */
export async function speak(
  session: Session,
  bytes: Uint8Array | readonly Uint8Array[],
  options: { readonly ms?: number; readonly fin?: boolean; readonly pauseMs?: number } = {},
): Promise<Outcome> {
  const start = systemClock.now();
  const stream = await session.openStream();
  stream.on("error", () => undefined);
  const took = (): number => systemClock.now() - start;
  const pieces = bytes instanceof Uint8Array ? [bytes] : bytes;
  writeSlowly(stream, pieces, options.pauseMs ?? 0, options.fin === true);
  try {
    const deadline = millis(options.ms ?? 5_000);
    const tip = await readTip(stream, { clock: systemClock, deadline });
    return { kind: "answered", tip, tookMs: took() };
  } catch (error) {
    const why = error instanceof Error && "code" in error ? String(error.code) : String(error);
    if (why === "timeout") throw error;
    return { kind: "closed", why, tookMs: took() };
  } finally {
    stream.destroy();
  }
}

function writeSlowly(
  stream: ByteStream,
  pieces: readonly Uint8Array[],
  pauseMs: number,
  fin: boolean,
): void {
  const [piece, ...rest] = pieces;
  if (stream.destroyed) return;
  if (piece === undefined) {
    if (fin) stream.end();
    return;
  }
  stream.write(piece);
  if (rest.length === 0 || pauseMs === 0) {
    writeSlowly(stream, rest, pauseMs, fin);
    return;
  }
  systemClock.setTimer(millis(pauseMs), () => {
    writeSlowly(stream, rest, pauseMs, fin);
  });
}
