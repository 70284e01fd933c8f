import { parseTarget, type Target } from "@culvert/wire";
import type { Grant } from "./options.ts";

/** The relay's permissions: default deny, looked up for every single stream. */
export class Grants {
  readonly #grants: readonly Grant[];

  constructor(grants: readonly Grant[]) {
    this.#grants = grants;
  }

  /** Whether the client may reach the target on the server. */
  allows(client: string, server: string, target: Target): boolean {
    return this.#between(client, server).some(({ services }) =>
      services.some((service) => matchesService(service, target)),
    );
  }

  /** Whether the client may know of the server at all: without any grant for it, a server looks as if it did not exist. */
  mayKnow(client: string, server: string): boolean {
    return this.#between(client, server).length > 0;
  }

  #between(client: string, server: string): readonly Grant[] {
    return this.#grants.filter(
      (grant) =>
        (grant.client === anyName || grant.client === client) &&
        (grant.server === anyName || grant.server === server),
    );
  }
}

function matchesService(service: string, target: Target): boolean {
  if (service === anyName) return true;
  const range = /^(\d+)-(\d+)$/.exec(service);
  if (range !== null) {
    return (
      target.kind === "port" && target.port >= Number(range[1]) && target.port <= Number(range[2])
    );
  }
  const allowed = parseTarget(service);
  switch (target.kind) {
    case "service":
      return allowed.kind === "service" && allowed.name === target.name;
    case "port":
      return allowed.kind === "port" && allowed.port === target.port;
    case "address":
      return (
        allowed.kind === "address" && allowed.host === target.host && allowed.port === target.port
      );
  }
}

const anyName = "*";
