import { millis, type Millis } from "@culvert/runtime";
import type { TunnelSettings } from "@culvert/transport";
import type { NamePolicy } from "../web/name-table.ts";
import type { ControlLimits } from "./control-channel.ts";

/** Bounds of a relay's Telebit side; each is named in the answer, metric or log of what it refuses. */
export interface TelebitLimits extends ControlLimits {
  /** Devices connected, with a token or not. */
  readonly devices: number;
  /** Devices without a good token yet. */
  readonly strangers: number;
  /** The same, of one address; an IPv6 address counts by its /64. */
  readonly strangersPerAddress: number;
  /** Public connections of one device. */
  readonly connectionsPerDevice: number;
  /** How long a device whose port another one asks for may take to show that it lives. */
  readonly probeTimeout: Millis;
  /** How long a public connection may be silent before it is opened at the device without first bytes. */
  readonly firstBytesWait: Millis;
  /** How long what follows the first bytes is held back from a device that has not answered. */
  readonly settleWait: Millis;
}

/** Defaults of {@link TelebitLimits}. */
export const telebitLimitDefaults: TelebitLimits = {
  authDeadline: millis(10_000),
  commandTimeout: millis(10_000),
  tokens: 16,
  pending: 16,
  nonsense: 32,
  devices: 1_000,
  // Real devices give up for good where they are refused, and many come at once from behind one NAT when a relay has restarted.
  strangers: 512,
  strangersPerAddress: 128,
  connectionsPerDevice: 2_000,
  // Below the command time-out, so that the device that asks gets its answer.
  probeTimeout: millis(5_000),
  // As the real relay waits.
  firstBytesWait: millis(350),
  // Many times what dialling a service on the device's own machine takes; paid by who sends much before the first answer.
  settleWait: millis(100),
};

/** How a relay serves Telebit devices. */
export interface TelebitOptions {
  readonly limits: TelebitLimits;
  /** Where granted TCP ports are opened. */
  readonly portHost: string;
  /** The name of this relay that a grant names for its TCP ports. */
  readonly publicHost: string;
  /** How granted names are served; real devices end TLS themselves. */
  readonly policy: NamePolicy;
}

/** A silent device is asked for a sign of life after two minutes, and is gone ten seconds later, as with the real relay. */
export const telebitTunnelSettings: Partial<TunnelSettings> = {
  keepAlive: millis(120_000),
  idleTimeout: millis(130_000),
  maxControlBytes: 32 * 1024,
};

/** Largest WebSocket message of a device, bytes. Real devices send what one read of a local socket gave. */
export const maxMessageBytes = 1024 * 1024;
