import type { ByteStream, Clock, Timer } from "@culvert/runtime";
import { agentDefaults } from "../agent-defaults.ts";
import type { DnsAnswerer } from "./dns-answerer.ts";
import { DnsFramer, framedDns } from "./dns-framer.ts";

/** Answers DNS queries on connections that others accepted (RFC 7766): one after the other on each, as many as it likes. */
export class DnsTcpService {
  readonly #answerer: DnsAnswerer;
  readonly #clock: Clock;
  #open = 0;

  constructor(answerer: DnsAnswerer, clock: Clock) {
    this.#answerer = answerer;
    this.#clock = clock;
  }

  /** Serves a connection to its end, which comes after {@link agentDefaults.dnsIdleTimeout} of silence at the latest. Owns it. */
  serve(stream: ByteStream): void {
    stream.on("error", () => undefined);
    if (this.#open >= agentDefaults.maxDnsConnections) {
      stream.destroy();
      return;
    }
    this.#open += 1;
    const rest = (): Timer =>
      this.#clock.setTimer(agentDefaults.dnsIdleTimeout, () => stream.destroy());
    let timer = rest();
    stream.once("close", () => {
      this.#open -= 1;
      timer.cancel();
    });
    void this.#converse(stream, () => {
      timer.cancel();
      timer = rest();
    });
  }

  async #converse(stream: ByteStream, onQuestion: () => void): Promise<void> {
    const framer = new DnsFramer();
    try {
      // Its own end would destroy the stream, with answers still in it.
      const chunks = stream.iterator({ destroyOnReturn: false });
      for await (const chunk of chunks as AsyncIterable<Uint8Array>) {
        for (const query of framer.push(chunk)) {
          onQuestion();
          const answer = await this.#answerer.answer(query);
          if (stream.destroyed) return;
          // Who does not read is asked nothing more from; the time for it runs out.
          if (answer !== undefined && !stream.write(framedDns(answer))) await drained(stream);
        }
      }
      stream.end();
    } catch {
      stream.destroy();
    }
  }
}

/** Resolves when a stream takes more, or never will. */
function drained(stream: ByteStream): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      stream.off("drain", done).off("close", done);
      resolve();
    };
    stream.on("drain", done).on("close", done);
    if (stream.destroyed) done();
  });
}
