import { formatMillis, type Millis } from "@culvert/runtime";
import { formatHostPort, type HostPort } from "./address-kinds.ts";
import type { Place } from "./place.ts";

/** Notes every TCP or UDP address that is listened at twice; port 0 is a fresh port each time. */
export function checkListeners(
  listeners: readonly { readonly address: HostPort | undefined; readonly place: Place }[],
): void {
  const seen = new Map<string, string>();
  for (const { address, place } of listeners) {
    if (address === undefined || address.port === 0) continue;
    const text = formatHostPort(address);
    const first = seen.get(text);
    if (first === undefined) seen.set(text, place.path);
    else place.note(`${text} is the address of ${first} too`);
  }
}

/** Notes what does not fit together in `quic`. */
export function checkQuic(
  quic: Sound<"keepAlive" | "idleTimeout", Millis> &
    Sound<"streamWindow" | "connectionWindow", number>,
  place: Place,
): void {
  const { keepAlive, idleTimeout, streamWindow, connectionWindow } = quic;
  if (keepAlive !== undefined && idleTimeout !== undefined && keepAlive * 2 > idleTimeout) {
    place
      .key("keepAlive")
      .note(
        `expected at most half of quic.idleTimeout (${formatMillis(idleTimeout)}), so that one lost PING does not end a session, found ${formatMillis(keepAlive)}`,
      );
  }
  if (
    streamWindow !== undefined &&
    connectionWindow !== undefined &&
    streamWindow > connectionWindow
  ) {
    place
      .key("connectionWindow")
      .note(
        `expected at least quic.streamWindow (${streamWindow} bytes), found ${connectionWindow} bytes`,
      );
  }
}

/** Notes a first wait that is longer than the longest. */
export function checkReconnect(reconnect: Sound<"first" | "cap", Millis>, place: Place): void {
  const { first, cap } = reconnect;
  if (first !== undefined && cap !== undefined && first > cap) {
    place
      .key("first")
      .note(`expected at most reconnect.cap (${formatMillis(cap)}), found ${formatMillis(first)}`);
  }
}

/** Values of which those that are wrong by themselves are undefined. */
type Sound<K extends string, T> = Readonly<Record<K, T | undefined>>;
