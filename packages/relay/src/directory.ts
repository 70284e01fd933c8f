import type { PeerId } from "@culvert/identity";
import type { Session } from "@culvert/transport";
import { Capability, type Attach, type Expose } from "@culvert/wire";
import type { Millis } from "@culvert/runtime";
import type { KnownPeer } from "./options.ts";

/** A peer that has attached, by one session. */
export interface AttachedPeer {
  readonly peer: KnownPeer;
  readonly session: Session;
  /** Random per process, hex; tells a restarted process from two that share a key. */
  readonly instance: string;
  readonly transient: boolean;
  readonly services: readonly string[];
  readonly software: string;
  /** Public names and ports it asks for; empty for clients. */
  readonly exposes: readonly Expose[];
  readonly attachedAt: Millis;
}

/** What an attach led to. */
export type AttachOutcome =
  | {
      readonly kind: "attached";
      readonly attached: AttachedPeer;
      /** Sessions that it takes over from, to be closed. */
      readonly replaced: readonly AttachedPeer[];
      /** The session that the peer moves away from; it keeps its streams and gets no new ones. */
      readonly left: AttachedPeer | undefined;
    }
  /** Another process took this identity over from this one, and still holds it. */
  | { readonly kind: "superseded" }
  | { readonly kind: "limit"; readonly limit: "transientSessionsPerPeer" };

/** Who is known and who is here. */
export class Directory {
  readonly #byId: ReadonlyMap<PeerId, KnownPeer>;
  readonly #byName: ReadonlyMap<string, KnownPeer>;
  readonly #standing = new Map<PeerId, AttachedPeer>();
  readonly #leaving = new Map<PeerId, readonly AttachedPeer[]>();
  readonly #transient = new Map<PeerId, Set<AttachedPeer>>();
  /** Those that stand again after a move that came to nothing. */
  readonly #returned = new WeakSet<AttachedPeer>();
  readonly #superseded = new Map<PeerId, string[]>();
  readonly #transientLimit: number;

  constructor(peers: readonly KnownPeer[], transientSessionsPerPeer: number) {
    this.#byId = new Map(peers.map((peer) => [peer.id, peer]));
    this.#byName = new Map(peers.map((peer) => [peer.name, peer]));
    this.#transientLimit = transientSessionsPerPeer;
  }

  /** The peer of an identity, if the relay knows it. */
  known(id: PeerId): KnownPeer | undefined {
    return this.#byId.get(id);
  }

  /** The server of a name, if the relay knows one. */
  server(name: string): KnownPeer | undefined {
    const peer = this.#byName.get(name);
    return peer?.role === "server" ? peer : undefined;
  }

  /** The standing session of a peer, if it is attached now. */
  attached(peer: KnownPeer): AttachedPeer | undefined {
    return this.#standing.get(peer.id);
  }

  /** Every known peer and what it is attached by. */
  *list(): Iterable<{ peer: KnownPeer; sessions: readonly AttachedPeer[] }> {
    for (const peer of this.#byId.values()) {
      const standing = this.#standing.get(peer.id);
      const leaving = this.#leaving.get(peer.id) ?? [];
      const others = this.#transient.get(peer.id) ?? [];
      const sessions = [...(standing === undefined ? [] : [standing]), ...leaving, ...others];
      yield { peer, sessions };
    }
  }

  /** Whether a session is one that its peer has moved away from. */
  isLeaving({ peer, session }: AttachedPeer): boolean {
    return (this.#leaving.get(peer.id) ?? []).some((left) => left.session === session);
  }

  /**
   * Attaches a session. A newer one takes over from the standing one of its identity, which the caller closes (`replaced`), unless
   * the same process moves from one to the other (`left`). A process that lost to another may not take the identity back while
   * that one lives: two processes with one key would evict each other for ever.
   */
  attach(peer: KnownPeer, session: Session, attach: Attach, now: Millis): AttachOutcome {
    const attached: AttachedPeer = {
      peer,
      session,
      instance: hex(attach.instanceId),
      transient: attach.transient,
      services: attach.services,
      software: attach.software,
      exposes: attach.role === "server" ? (attach.exposes ?? []) : [],
      attachedAt: now,
    };
    const moves = attach.capabilities.includes(Capability.move);
    if (attach.transient) return this.#attachTransient(attached, moves);
    const standing = this.#standing.get(peer.id);
    const superseded = this.#superseded.get(peer.id) ?? [];
    if (standing !== undefined && standing.instance !== attached.instance) {
      if (superseded.includes(attached.instance)) return { kind: "superseded" };
      this.#superseded.set(peer.id, [...superseded, standing.instance].slice(-rememberedInstances));
    }
    this.#standing.set(peer.id, attached);
    const isOurs = standing !== undefined && isOf(standing, attached);
    const left = isOurs && this.#mayBeLeft(standing, moves) ? standing : undefined;
    const { kept, replaced } = this.#sortLeaving(attached, left);
    this.#keepLeaving(peer.id, kept);
    if (standing !== undefined && left === undefined) replaced.push(standing);
    return { kind: "attached", attached, replaced, left };
  }

  /**
   * Forgets a session that has ended; a newer one of the same identity stays. Where its process had moved to it, the newest that it
   * left and that lives stands again, and is returned: the process may never have heard that it moved.
   */
  detach(peer: KnownPeer, session: Session): AttachedPeer | undefined {
    const leaving = this.#leaving.get(peer.id)?.filter((left) => left.session !== session);
    this.#keepLeaving(peer.id, leaving ?? []);
    const standing = this.#standing.get(peer.id);
    const others = this.#transient.get(peer.id);
    if (standing?.session === session) {
      this.#standing.delete(peer.id);
      return this.#return(standing);
    }
    const other = [...(others ?? [])].find((one) => one.session === session);
    if (other === undefined) return undefined;
    others?.delete(other);
    if (others?.size === 0) this.#transient.delete(peer.id);
    return this.#return(other);
  }

  #return(ended: AttachedPeer): AttachedPeer | undefined {
    const { id } = ended.peer;
    const leaving = this.#leaving.get(id) ?? [];
    const back = leaving.findLast((left) => isOf(left, ended));
    if (back === undefined) return undefined;
    const rest = leaving.filter((left) => left !== back);
    this.#keepLeaving(id, rest);
    this.#returned.add(back);
    if (back.transient)
      this.#transient.set(id, new Set([...(this.#transient.get(id) ?? []), back]));
    else this.#standing.set(id, back);
    return back;
  }

  /** One that stands again may have been left by a process that now dials anew; its streams are not to suffer for that. */
  #mayBeLeft(one: AttachedPeer, moves: boolean): boolean {
    return moves || this.#returned.has(one);
  }

  /**
   * What becomes of the sessions that were left, `left` the newest of them. Of one process the newest stay; those of other processes go
   * with the standing session they belonged to, while one-shot sessions are nobody else's business.
   */
  #sortLeaving(
    attached: AttachedPeer,
    left: AttachedPeer | undefined,
  ): { readonly kept: readonly AttachedPeer[]; readonly replaced: AttachedPeer[] } {
    const all = [...(this.#leaving.get(attached.peer.id) ?? []), ...(left ? [left] : [])];
    const ours = all.filter((one) => isOf(one, attached)).slice(-mostLeaving);
    const isKept = (one: AttachedPeer): boolean => {
      if (isOf(one, attached)) return ours.includes(one);
      return attached.transient || one.transient;
    };
    return { kept: all.filter(isKept), replaced: all.filter((one) => !isKept(one)) };
  }

  #keepLeaving(id: PeerId, sessions: readonly AttachedPeer[]): void {
    if (sessions.length === 0) this.#leaving.delete(id);
    else this.#leaving.set(id, sessions);
  }

  /** What was left counts to the limit of who comes anew; by moving a peer may have {@link mostLeaving} more. */
  #attachTransient(attached: AttachedPeer, moves: boolean): AttachOutcome {
    const { id } = attached.peer;
    const before = [...(this.#transient.get(id) ?? [])];
    const left = before.find((one) => isOf(one, attached) && this.#mayBeLeft(one, moves));
    const { kept, replaced } = this.#sortLeaving(attached, left);
    const others = before.filter((one) => one !== left);
    const leaving = kept.filter(({ transient }) => transient);
    // Who moves brings no process more: a peer whose limit is one could not move at all else.
    const most = this.#transientLimit + (left === undefined ? 0 : mostLeaving);
    if (others.length + leaving.length >= most) {
      return { kind: "limit", limit: "transientSessionsPerPeer" };
    }
    this.#keepLeaving(id, kept);
    this.#transient.set(id, new Set([...others, attached]));
    return { kind: "attached", attached, replaced, left };
  }
}

/** Whether two sessions are of the same process, and both its standing or both its one-shot ones. */
function isOf(one: AttachedPeer, other: AttachedPeer): boolean {
  return one.instance === other.instance && one.transient === other.transient;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

const rememberedInstances = 8;
/** Sessions of one identity that may live on after moves, the newest. A peer whose network changes often has one or two. */
export const mostLeaving = 2;
