import type { HostPort } from "@culvert/transport";
import { coversPublicName, type Expose } from "@culvert/wire";
import type { NamePolicy } from "../web/name-table.ts";

/** Public names that a server may have. */
export interface PublicNameGrant extends NamePolicy {
  readonly server: string;
  /** Names, or `*.` and one; lower case. */
  readonly names: readonly string[];
}

/** A public port that a server may have. */
export interface PublicPortGrant {
  readonly server: string;
  readonly listen: HostPort;
}

/** What the configuration of a relay gives to the servers attached to it; nothing listed is nothing granted. */
export interface PublicGrantList {
  readonly names: readonly PublicNameGrant[];
  readonly ports: readonly PublicPortGrant[];
}

/** Judges what servers ask to expose. Pure. */
export class PublicGrants {
  readonly list: PublicGrantList;

  constructor(list: PublicGrantList) {
    this.list = list;
  }

  /** How a name is to be treated that a server asks for, which may be a wildcard; undefined where it may not have it. */
  name(server: string, name: string): NamePolicy | undefined {
    const mine = this.list.names.filter((grant) => grant.server === server);
    // The most special grant says how, as the most special name is found.
    const found = mine
      .flatMap((grant) => grant.names.map((pattern) => ({ pattern, grant })))
      .filter(({ pattern }) => coversPublicName(pattern, name))
      .sort((one, other) => rank(other.pattern) - rank(one.pattern))[0];
    return found === undefined ? undefined : { tls: found.grant.tls, http: found.grant.http };
  }

  /** Whether a port of the relay leads to a server. */
  port(server: string, port: number): boolean {
    return this.list.ports.some((grant) => grant.server === server && grant.listen.port === port);
  }

  /** What an operator would have to add for an expose to be granted. */
  static lineFor(server: string, { name, port }: Expose): string {
    return name === ""
      ? `public.ports: [{server: ${server}, listen: "0.0.0.0:${port}"}]`
      : `public.names: [{server: ${server}, names: ["${name}"]}]`;
  }
}

/** An exact name before every wildcard, a longer wildcard before a shorter. */
function rank(pattern: string): number {
  return pattern.startsWith("*.") ? pattern.length : Number.MAX_SAFE_INTEGER;
}
