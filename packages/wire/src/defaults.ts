import { millis } from "@culvert/runtime";

/** Limits and deadlines of tips (PROTOCOL.md §7, §8). */
export const tipDefaults = {
  /** Largest message in a tip frame, bytes. Every announced length is held against it before anything is kept. */
  maxTipBytes: 16_384,
  /** Largest inner layer, bytes: half a tip, so that an outer layer always fits beside it. */
  maxInnerBytes: 8_192,
  /** Longest text for people, characters (Unicode code points). */
  maxTextLength: 1_024,
  /** Longest name of a peer, server, service or limit, characters. */
  maxNameLength: 64,
  /** Most services one server offers. */
  maxServices: 256,
  /** Most public names and ports one server asks for. */
  maxExposes: 256,
  /** Most capabilities in one list. */
  maxCapabilities: 64,
  /** A tip that opens a stream is complete this long after the stream was seen, or the stream is reset. */
  tipDeadline: millis(5_000),
} as const;
