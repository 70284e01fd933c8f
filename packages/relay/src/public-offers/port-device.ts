import { TransportError, type ByteStream } from "@culvert/runtime";
import type { PublicConnection, PublicDevice } from "../web/public-device.ts";

/** A public port of one server: leads to those of its sessions that expose it, in turn. */
export class PortDevice implements PublicDevice {
  readonly name: string;
  readonly #sessions: PublicDevice[] = [];
  #turn = 0;

  constructor(name: string) {
    this.name = name;
  }

  get connected(): boolean {
    return this.#sessions.some(({ connected }) => connected);
  }

  /** Adds a session; returns the function that takes it away. */
  add(session: PublicDevice): () => void {
    this.#sessions.push(session);
    return () => {
      const index = this.#sessions.indexOf(session);
      if (index >= 0) this.#sessions.splice(index, 1);
    };
  }

  open(
    connection: PublicConnection,
    options: { readonly signal: AbortSignal },
  ): Promise<ByteStream> {
    const here = this.#sessions.filter(({ connected }) => connected);
    const session = here[this.#turn % Math.max(1, here.length)];
    this.#turn += 1;
    if (session === undefined) {
      return Promise.reject(new TransportError("no_session", `${this.name} is not attached`));
    }
    return session.open(connection, options);
  }
}
