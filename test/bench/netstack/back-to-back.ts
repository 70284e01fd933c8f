import { Netstack, type TcpConnection } from "@culvert/netstack";
import { systemClock, systemRandom } from "@culvert/runtime";
import { finished } from "node:stream/promises";

/** One transfer between two stacks in this process, with nothing between them but a queue. */
export interface Transfer {
  readonly mebibytes: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
  /** Packets both ways. */
  readonly packets: number;
}

/** Sends so many MiB from one stack to another in segments of at most `mss` bytes, with everything TCP does but no network. */
export async function transferBackToBack(mss: number, mebibytes: number): Promise<Transfer> {
  const wire = new Wire();
  const common = { clock: systemClock, random: systemRandom, mtu: mss + headerBytes };
  const near: Netstack = new Netstack({
    ...common,
    addresses: [nearAddress],
    output: (packet) => wire.carry(packet, far),
  });
  const far: Netstack = new Netstack({
    ...common,
    addresses: [farAddress],
    output: (packet) => wire.carry(packet, near),
  });
  try {
    const accepted = new Promise<TcpConnection>((resolve) => far.listen({ port }, {}, resolve));
    const sender = await near.connect({ address: farAddress, port });
    const receiver = await accepted;
    const cpu = process.cpuUsage();
    const start = systemClock.now();
    const bytes = mebibytes * mebibyte;
    const received = count(receiver);
    pump(sender, bytes);
    const arrived = await received;
    if (arrived !== bytes) throw new Error(`${arrived} of ${bytes} bytes arrived`);
    const seconds = (systemClock.now() - start) / 1000;
    const { user, system } = process.cpuUsage(cpu);
    receiver.end();
    await finished(sender.resume());
    return { mebibytes, seconds, cpuSeconds: (user + system) / 1e6, packets: wire.packets };
  } finally {
    near.close({ by: "us", code: "done", text: "" });
    far.close({ by: "us", code: "done", text: "" });
  }
}

/** Carries packets in both directions, all that are waiting at each turn of the event loop, as a pipe between processes would. */
class Wire {
  packets = 0;
  #waiting: [Uint8Array, Netstack][] = [];

  carry(packet: Uint8Array, to: Netstack): void {
    this.packets++;
    if (this.#waiting.push([packet, to]) === 1) setImmediate(() => this.#deliver());
  }

  #deliver(): void {
    const arriving = this.#waiting;
    this.#waiting = [];
    for (const [packet, to] of arriving) to.receive(packet);
  }
}

function pump(sender: TcpConnection, bytes: number): void {
  const chunk = new Uint8Array(chunkBytes).fill(0x5a);
  let left = bytes;
  const more = (): void => {
    while (left > 0) {
      const next = chunk.subarray(0, Math.min(left, chunk.length));
      left -= next.length;
      if (!sender.write(next)) {
        sender.once("drain", more);
        return;
      }
    }
    sender.end();
  };
  more();
}

async function count(receiver: TcpConnection): Promise<number> {
  let bytes = 0;
  receiver.on("data", (chunk: Uint8Array) => (bytes += chunk.length));
  await finished(receiver, { writable: false });
  return bytes;
}

const nearAddress = "10.77.0.1";
const farAddress = "10.77.0.2";
const port = 5001;
const headerBytes = 40;
const mebibyte = 1024 * 1024;
/** What a read of a socket or a pipe gives at most. */
const chunkBytes = 64 * 1024;
