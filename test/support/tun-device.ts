import { close, openSync, read, writeSync } from "node:fs";
import { run } from "./child.ts";
import { spawnSync } from "node:child_process";
import type { Namespace } from "./namespace.ts";

/** How a TUN device looks from inside its namespace. */
export interface TunOptions {
  readonly namespace: Namespace;
  /** Name of the device, at most 15 characters. */
  readonly name: string;
  /** Address of the kernel's end with its prefix length: `10.9.0.1/24`. */
  readonly address: string;
  readonly mtu: number;
  /** Takes each packet the kernel sends; owns it. */
  readonly onPacket: (packet: Uint8Array) => void;
}

/** A TUN device: what the kernel of a namespace sends comes out here, what is written arrives there (Linux, tuntap.txt). */
export class TunDevice {
  /** Packets the kernel would not take. */
  refused = 0;
  readonly #options: TunOptions;
  readonly #file: number;
  readonly #readBuffer: Buffer;
  readonly #readEnded: Promise<void>;

  private constructor(options: TunOptions, file: number) {
    this.#options = options;
    this.#file = file;
    this.#readBuffer = Buffer.alloc(options.mtu);
    this.#readEnded = new Promise((resolve) => this.#readNext(resolve));
  }

  /** Makes the device, root only. The owner closes it. */
  static async open(options: TunOptions): Promise<TunDevice> {
    const { name, namespace, mtu, address } = options;
    const file = openSync("/dev/net/tun", "r+");
    try {
      // Node has no ioctl. Perl has, and the device belongs to the open file, which it inherits, not to the process that asks.
      const made = spawnSync("perl", ["-e", makeDevice, name], {
        stdio: ["ignore", "ignore", "pipe", file],
        encoding: "utf8",
      });
      if (made.status !== 0) throw new Error(`no TUN device: ${made.stderr}`);
      const moved = await run("ip", ["link", "set", name, "netns", namespace.name]);
      if (moved.code !== 0) throw new Error(`ip link set: ${moved.stderr}`);
      await namespace.sh(`ip addr add ${address} dev ${name}`);
      await namespace.sh(`ip link set ${name} mtu ${mtu} up`);
      return new TunDevice(options, file);
    } catch (error) {
      await closed(file);
      throw error;
    }
  }

  /** Gives the kernel a packet. */
  write(packet: Uint8Array): void {
    try {
      writeSync(this.#file, packet);
    } catch {
      this.refused++;
    }
  }

  /** Removes the device. */
  async close(): Promise<void> {
    const { name, namespace } = this.#options;
    // A thread sits in a read, which only the end of the device wakes.
    await namespace.sh(`ip link delete ${name}`);
    await this.#readEnded;
    await closed(this.#file);
  }

  #readNext(ended: () => void): void {
    read(this.#file, this.#readBuffer, 0, this.#readBuffer.length, null, (error, bytes) => {
      if (error !== null) {
        ended();
        return;
      }
      this.#options.onPacket(Uint8Array.from(this.#readBuffer.subarray(0, bytes)));
      this.#readNext(ended);
    });
  }
}

/** TUNSETIFF with IFF_TUN and IFF_NO_PI on the inherited file. */
const makeDevice =
  'open(my $tun, "+<&=", 3) or die "$!\\n"; my $request = pack("Z16 s x22", $ARGV[0], 0x1001);' +
  'ioctl($tun, 0x400454ca, $request) or die "TUNSETIFF: $!\\n"';

function closed(file: number): Promise<void> {
  return new Promise((resolve) => close(file, () => resolve()));
}
