import type { Clock, Random } from "@culvert/runtime";
import type { Identity, TlsCertificate } from "@culvert/identity";
import type { QuicSettings } from "../settings.ts";
import type { QuicheBinding } from "./binding.ts";
import type { ReadBuffer } from "./read-buffer.ts";
import type { TurnScheduler } from "./turn-scheduler.ts";
import type { UdpSocket } from "./udp-socket.ts";

/** What listeners and dialled connections of one engine share. */
export interface EngineParts {
  readonly binding: QuicheBinding;
  readonly clock: Clock;
  readonly random: Random;
  readonly scheduler: TurnScheduler;
  readonly readBuffer: ReadBuffer;
  /** The certificate of an identity; made once. */
  certificateOf(identity: Identity): Promise<TlsCertificate>;
  /** Warns that quiche failed in a way no peer should be able to cause. */
  warnOfFault(text: string): void;
  /** Warns that the network does not carry datagrams of this size. */
  warnOfSize(datagramBytes: number): void;
  /** Warns, once, if the kernel gave a socket less than the settings ask. Returns whether it gave all. */
  checkBuffers(socket: UdpSocket, settings: QuicSettings): boolean;
}
