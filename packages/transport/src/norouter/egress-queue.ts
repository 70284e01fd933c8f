/** Bounds of an `EgressQueue`. */
export interface EgressLimits {
  readonly maxBytes: number;
  readonly maxPackets: number;
}

/**
 * Packets on their way out, while the pipe is full. Every connection has its turn (deficit round robin, RFC 8290 §4.2 without its delay
 * control), so that one that has megabytes under way holds up no other. Beyond the bounds the connection that has most waiting
 * loses its oldest packet, which its TCP notices and repairs.
 */
export class EgressQueue {
  readonly #limits: EgressLimits;
  readonly #flows = new Map<number, Flow>();
  /** Flows that have packets, in the order of their turns. */
  #turns: Flow[] = [];
  #bytes = 0;
  #packets = 0;
  #droppedPackets = 0;

  constructor(limits: EgressLimits) {
    this.#limits = limits;
  }

  get packets(): number {
    return this.#packets;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Connections that have, or of late had, packets here. */
  get flows(): number {
    return this.#flows.size;
  }

  /** Packets that were lost to a bound since the start. */
  get droppedPackets(): number {
    return this.#droppedPackets;
  }

  /** Adds an IPv4 packet, which belongs to the queue from now on. */
  push(packet: Uint8Array): void {
    const key = flowOf(packet);
    let flow = this.#flows.get(key);
    if (flow === undefined) {
      flow = { key, packets: [], bytes: 0, credit: 0 };
      this.#flows.set(key, flow);
      this.#turns.push(flow);
    }
    flow.packets.push(packet);
    flow.bytes += packet.length;
    this.#bytes += packet.length;
    this.#packets += 1;
    while (this.#bytes > this.#limits.maxBytes || this.#packets > this.#limits.maxPackets) {
      this.#drop();
    }
  }

  /** The next packets, in the order in which they should go: at least one, and no more once `bytes` are reached. */
  take(bytes: number): Uint8Array[] {
    const taken: Uint8Array[] = [];
    let takenBytes = 0;
    while (takenBytes < bytes) {
      const flow = this.#turns[0];
      if (flow === undefined) break;
      const [packet] = flow.packets;
      if (packet === undefined) {
        this.#turns.shift();
        this.#flows.delete(flow.key);
      } else if (packet.length > flow.credit) {
        flow.credit += turnBytes;
        this.#turns.shift();
        this.#turns.push(flow);
      } else {
        flow.credit -= packet.length;
        this.#remove(flow);
        taken.push(packet);
        takenBytes += packet.length;
      }
    }
    return taken;
  }

  /** Forgets everything that waits. */
  clear(): void {
    this.#flows.clear();
    this.#turns = [];
    this.#bytes = 0;
    this.#packets = 0;
  }

  #remove(flow: Flow): void {
    const packet = flow.packets.shift();
    if (packet === undefined) return;
    flow.bytes -= packet.length;
    this.#bytes -= packet.length;
    this.#packets -= 1;
  }

  #drop(): void {
    let longest: Flow | undefined;
    for (const flow of this.#turns) {
      if (longest === undefined || flow.bytes > longest.bytes) longest = flow;
    }
    if (longest === undefined) return;
    this.#remove(longest);
    this.#droppedPackets += 1;
    if (longest.packets.length > 0) return;
    // Else who begins ever new connections would leave a flow behind for each.
    this.#turns.splice(this.#turns.indexOf(longest), 1);
    this.#flows.delete(longest.key);
  }
}

interface Flow {
  readonly key: number;
  readonly packets: Uint8Array[];
  bytes: number;
  /** What it may still send in its turn. */
  credit: number;
}

/** Between two addresses the ports name the connection (RFC 9293 §3.1); what has none shares one queue. */
function flowOf(packet: Uint8Array): number {
  const at = ((packet[0] ?? 0) & 0x0f) * 4;
  const [a = 0, b = 0, c = 0, d = 0] = packet.subarray(at, at + 4);
  return ((a << 8) | b) * 65_536 + ((c << 8) | d);
}

/** One packet of the largest size. */
const turnBytes = 65_535;
