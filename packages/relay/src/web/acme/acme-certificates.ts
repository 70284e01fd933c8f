import {
  errorText,
  millis,
  RetrySchedule,
  type Clock,
  type Random,
  type Timer,
} from "@culvert/runtime";
import type { Log } from "@culvert/telemetry";
import {
  readCertificate,
  type CertificateStore,
  type StoredCertificate,
} from "../certificate-store.ts";
import type { PublicMetrics } from "../metrics.ts";
import type { OrderCertificate } from "./acme-order.ts";
import type { AcmeState } from "./acme-state.ts";

/** What the keeper of certificates works with. */
export interface AcmeCertificatesDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: PublicMetrics;
  readonly store: CertificateStore;
  readonly state: Pick<AcmeState, "load" | "save">;
  readonly order: OrderCertificate;
  /** The names that need a certificate now, exact and in lower case; those that files cover left out. */
  readonly wanted: () => readonly string[];
}

/**
 * Keeps a certificate for every wanted name: from its folder at the start, by ACME where there is none, and anew when a third of its
 * life is left. One order at a time. A name that fails waits between 5 minutes and a day, as public servers limit failures; nothing else
 * waits for it.
 */
export class AcmeCertificates {
  readonly #deps: AcmeCertificatesDeps;
  readonly #names = new Map<string, NameState>();
  #timer: Timer | undefined;
  #working = false;
  #again = false;
  #closed = false;

  constructor(deps: AcmeCertificatesDeps) {
    this.#deps = deps;
  }

  /** Looks now at what is wanted: at the start, and whenever that may have changed. Returns at once. */
  look(): void {
    this.#again = true;
    if (!this.#working && !this.#closed) void this.#work();
  }

  /** Orders nothing any more. An order under way ends by itself, within its limit. */
  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  async #work(): Promise<void> {
    this.#working = true;
    this.#timer?.cancel();
    while (this.#again && !this.#closed) {
      this.#again = false;
      for (const name of this.#deps.wanted()) {
        await this.#tend(name);
      }
    }
    this.#working = false;
    this.#schedule();
  }

  #schedule(): void {
    if (this.#closed) return;
    const now = this.#deps.clock.wallNowMs();
    const dues = this.#deps.wanted().map((name) => this.#names.get(name)?.dueMs ?? now);
    // Looked at each hour at the least, since clocks are set and machines sleep.
    const waitMs = Math.min(longestWaitMs, ...dues.map((due) => Math.max(1_000, due - now)));
    const wake = (): void => this.look();
    this.#timer = this.#deps.clock.setTimer(millis(waitMs), wake, { unref: true });
  }

  /** Never rejects. */
  async #tend(name: string): Promise<void> {
    if (this.#closed) return;
    const { clock, random } = this.#deps;
    let state = this.#names.get(name);
    if (state === undefined) {
      const retry = new RetrySchedule(random, retryOptions);
      state = { dueMs: await this.#restore(name), retry };
      this.#names.set(name, state);
    }
    if (state.dueMs > clock.wallNowMs()) return;
    try {
      const pem = await this.#deps.order(name);
      const certificate = readCertificate(pem);
      this.#use(name, certificate);
      state.retry.reset();
      // However soon a certificate ends, its server is not asked all the time.
      state.dueMs = Math.max(renewalMs(certificate), clock.wallNowMs() + longestWaitMs);
      this.#deps.metrics.certificates.inc({ source: "acme", result: "ok" });
      await this.#deps.state.save(name, pem);
    } catch (error) {
      // A certificate that could not be saved is in use all the same.
      if (state.dueMs <= clock.wallNowMs()) state.dueMs = clock.wallNowMs() + state.retry.next();
      this.#deps.metrics.certificates.inc({ source: "acme", result: "failed" });
      this.#deps.log.warn("relay.certificate.failed", {
        name,
        reason: errorText(error),
        retryAt: new Date(state.dueMs).toISOString(),
      });
    }
  }

  /** Takes a certificate of an earlier run into use; when it is to be renewed, or 0 where there is none. */
  async #restore(name: string): Promise<number> {
    try {
      const pem = await this.#deps.state.load(name);
      if (pem === undefined) return 0;
      const certificate = readCertificate(pem);
      this.#use(name, certificate);
      return renewalMs(certificate);
    } catch (error) {
      this.#deps.log.warn("relay.certificate.failed", { name, reason: errorText(error) });
      return 0;
    }
  }

  #use(name: string, certificate: StoredCertificate): void {
    this.#deps.store.set(`acme ${name}`, certificate);
    this.#deps.log.info("relay.certificate.loaded", {
      name,
      names: certificate.names,
      notAfter: new Date(certificate.notAfterMs).toISOString(),
    });
  }
}

interface NameState {
  /** Wall-clock time of the next order. */
  dueMs: number;
  readonly retry: RetrySchedule;
}

/** Wall-clock time at which a third of a certificate's life is left. */
export function renewalMs({ notBeforeMs, notAfterMs }: StoredCertificate): number {
  return notAfterMs - (notAfterMs - notBeforeMs) / 3;
}

const retryOptions = { first: millis(600_000), cap: millis(86_400_000), factor: 2 };
const longestWaitMs = 3_600_000;
