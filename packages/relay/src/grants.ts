import { parseTarget, type Target } from "@culvert/wire";
import type { Grant } from "./options.ts";

/** The relay's permissions: default deny, looked up for every single stream. */
export class Grants {
  /** What services are allowed by client and server, `*` standing for any: however many grants there are, four look-ups. */
  readonly #services = new Map<string, Map<string, Allows[]>>();

  constructor(grants: readonly Grant[]) {
    for (const { client, server, services } of grants) {
      const byServer = this.#services.get(client) ?? new Map<string, Allows[]>();
      this.#services.set(client, byServer);
      byServer.set(server, [...(byServer.get(server) ?? []), ...services.map(allowing)]);
    }
  }

  /** Whether the client may reach the target on the server. */
  allows(client: string, server: string, target: Target): boolean {
    return this.#between(client, server).some((services) =>
      services.some((allows) => allows(target)),
    );
  }

  /** Whether the client may know of the server at all: without any grant for it, a server looks as if it did not exist. */
  mayKnow(client: string, server: string): boolean {
    return this.#between(client, server).length > 0;
  }

  #between(client: string, server: string): readonly (readonly Allows[])[] {
    const found: Allows[][] = [];
    for (const from of [client, anyName]) {
      const byServer = this.#services.get(from);
      for (const to of [server, anyName]) {
        const services = byServer?.get(to);
        if (services !== undefined) found.push(services);
      }
    }
    return found;
  }
}

type Allows = (target: Target) => boolean;

/** Reads a service of a grant once, for all streams that it is asked about. */
function allowing(service: string): Allows {
  if (service === anyName) return () => true;
  const range = /^(\d+)-(\d+)$/.exec(service);
  if (range !== null) {
    const [first, last] = [Number(range[1]), Number(range[2])];
    return (target) => target.kind === "port" && target.port >= first && target.port <= last;
  }
  const allowed = parseTarget(service);
  switch (allowed.kind) {
    case "service":
      return (target) => target.kind === "service" && target.name === allowed.name;
    case "port":
      return (target) => target.kind === "port" && target.port === allowed.port;
    case "address":
      return (target) =>
        target.kind === "address" && target.host === allowed.host && target.port === allowed.port;
  }
}

const anyName = "*";
