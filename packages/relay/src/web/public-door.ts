import type { Socket } from "node:net";
import type { Clock, Millis } from "@culvert/runtime";
import type { Log } from "@culvert/telemetry";
import { formatHostPort } from "@culvert/transport";
import type { Admission } from "./admission.ts";
import type { PublicMetrics, PublicRefusal } from "./metrics.ts";
import { PublicClient } from "./public-client.ts";
import type { PublicDevice } from "./public-device.ts";
import type { PublicVisit } from "./public-status.ts";

/** What the door works with. */
export interface PublicDoorDeps {
  readonly clock: Clock;
  readonly log: Log;
  /** Limited in rate: for what strangers provoke. */
  readonly strangersLog: Log;
  readonly metrics: PublicMetrics;
  readonly admission: Admission;
}

/** Someone who was let in. */
export interface Guest {
  readonly client: PublicClient;
  /** The handshake is over. */
  readonly settled: () => void;
}

/** Lets public connections in and out: limits, the list of who is inside, and one line of log at each end. */
export class PublicDoor {
  readonly #deps: PublicDoorDeps;
  readonly #inside = new Map<PublicClient, Stay>();
  readonly #ended = { up: 0, down: 0 };
  #onIdle: (() => void) | undefined;

  constructor(deps: PublicDoorDeps) {
    this.#deps = deps;
  }

  /** Bytes of all connections since the start. */
  get bytes(): { readonly up: number; readonly down: number } {
    const sum = { ...this.#ended };
    for (const { bytes } of this.#inside.keys()) {
      sum.up += bytes.up;
      sum.down += bytes.down;
    }
    return sum;
  }

  /** Lets a connection in, or destroys it. */
  admit(socket: Socket): Guest | undefined {
    const { clock, admission } = this.#deps;
    const { remoteAddress, remotePort, remoteFamily, localAddress, localPort } = socket;
    if (remoteAddress === undefined || remotePort === undefined) {
      socket.destroy();
      return undefined;
    }
    const remote = { family: remoteFamily ?? "", address: remoteAddress, port: remotePort };
    const local = { family: remoteFamily ?? "", address: localAddress ?? "", port: localPort ?? 0 };
    const admitted = admission.admit(remoteAddress);
    if (typeof admitted === "string") {
      this.#refused(remote.address, admitted);
      socket.destroy();
      return undefined;
    }
    const client = new PublicClient(socket, remote, local);
    this.#inside.set(client, { since: clock.now(), device: undefined, visitor: true });
    socket.once("close", () => {
      admitted.gone();
      this.#leave(client);
    });
    return { client, settled: admitted.settled };
  }

  /** Counts and logs that a connection gets nothing. Says nothing to the client. */
  refuse(client: PublicClient, reason: PublicRefusal, text: string): void {
    this.#refused(client.remote.address, reason, text, client.serverName);
  }

  /** Logs the first device a connection has reached; `site` is the name, wildcard or port in the tables that led there. */
  reached(client: PublicClient, name: string, device: PublicDevice, site: string): void {
    const stay = this.#inside.get(client);
    if (stay === undefined || stay.device !== undefined) return;
    stay.device = { name, device: device.name, site };
    this.#deps.log.info("relay.public.opened", describe(client, stay.device));
  }

  /** The connections that have reached a device, the oldest first, for status. */
  visits(): PublicVisit[] {
    const now = this.#deps.clock.now();
    const visits: PublicVisit[] = [];
    for (const [client, { device: reached, since }] of this.#inside) {
      if (reached === undefined) continue;
      const { remote, local, tls, requests, bytes } = client;
      const connection = {
        remote: formatHostPort({ host: remote.address, port: remote.port }),
        port: local.port,
        name: reached.name,
        server: reached.device,
        tls,
        requests,
        bytesUp: bytes.up,
        bytesDown: bytes.down,
        ageMs: Math.round(now - since),
      };
      visits.push({ site: reached.site, connection });
    }
    return visits;
  }

  /** Takes a connection off the list of those a drain waits for: it is a session, or a Telebit device. */
  handedOver(client: PublicClient): void {
    const stay = this.#inside.get(client);
    if (stay !== undefined) stay.visitor = false;
    this.#tellIdle();
  }

  /** Resolves when no visitor is inside; for one waiter. */
  idle(): Promise<void> {
    return new Promise((resolve) => {
      this.#onIdle = resolve;
      this.#tellIdle();
    });
  }

  /** Throws everybody out. */
  close(): void {
    for (const { socket } of this.#inside.keys()) socket.destroy();
  }

  #leave(client: PublicClient): void {
    const { clock, log } = this.#deps;
    const stay = this.#inside.get(client);
    this.#inside.delete(client);
    const { up, down } = client.bytes;
    this.#ended.up += up;
    this.#ended.down += down;
    if (stay?.device !== undefined) {
      log.info("relay.public.closed", {
        ...describe(client, stay.device),
        bytesUp: up,
        bytesDown: down,
        requests: client.requests,
        durationMs: Math.round(clock.now() - stay.since),
      });
    }
    this.#tellIdle();
  }

  #refused(remote: string, reason: PublicRefusal, text?: string, name?: string): void {
    this.#deps.metrics.refused.inc({ reason });
    this.#deps.strangersLog.warn("relay.public.refused", {
      remote,
      name,
      cause: reason,
      reason: text,
    });
  }

  #tellIdle(): void {
    if (this.#onIdle === undefined) return;
    for (const { visitor } of this.#inside.values()) if (visitor) return;
    this.#onIdle();
    this.#onIdle = undefined;
  }
}

interface Stay {
  readonly since: Millis;
  device: { readonly name: string; readonly device: string; readonly site: string } | undefined;
  /** Not one of the relay's own peers. */
  visitor: boolean;
}

function describe(
  { remote, local, tls }: PublicClient,
  reached: { readonly name: string; readonly device: string },
): Record<string, unknown> {
  return {
    remote: remote.address,
    remotePort: remote.port,
    port: local.port,
    tls,
    name: reached.name,
    server: reached.device,
  };
}
