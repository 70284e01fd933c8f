import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { run } from "../support/child.ts";

/** Where the processes of a bench run: the relay on one side of a path, everything else on the other. */
export interface Place {
  /** The address at which the relay listens. */
  readonly relayAddress: string;
  /** What to put in front of the relay's command. */
  readonly relayPrefix: readonly string[];
  /** What to put in front of every other command. */
  readonly edgePrefix: readonly string[];
  readonly description: string;
  /** Removes what was made for it; twice does no harm. */
  close(): void;
}

/** Everything on 127.0.0.1. */
export function loopbackPlace(): Place {
  return {
    relayAddress: "127.0.0.1",
    relayPrefix: [],
    edgePrefix: [],
    description: "loopback",
    close: () => undefined,
  };
}

/**
 * Two network namespaces joined by a veth pair with an MTU of 1,500: one for the relay, one for all else. With a loss, iptables
 * drops that many percent of the packets in each direction. Needs root on Linux; throws where something cannot be made.
 */
export async function vethPlace(lossPercent: number): Promise<Place> {
  const tag = randomBytes(3).toString("hex");
  const [relay, edge] = [`cvb-relay-${tag}`, `cvb-edge-${tag}`];
  const close = (): void => {
    for (const name of [relay, edge]) spawnSync("ip", ["netns", "delete", name]);
    process.off("exit", close);
  };
  process.once("exit", close);
  try {
    for (const name of [relay, edge]) {
      await sh([], `ip netns add ${name}`);
      await sh(inside(name), "ip link set lo up");
    }
    // Both ends are born inside, so that nothing of them is ever seen outside; they vanish with their namespaces.
    await sh(
      inside(relay),
      `ip link add cvb0 mtu 1500 type veth peer name cvb1 mtu 1500 netns ${edge}`,
    );
    await sh(inside(relay), `ip addr add ${relayAddress}/24 dev cvb0 && ip link set cvb0 up`);
    await sh(inside(edge), `ip addr add ${edgeAddress}/24 dev cvb1 && ip link set cvb1 up`);
    if (lossPercent > 0) {
      for (const [name, link] of [
        [relay, "cvb0"],
        [edge, "cvb1"],
      ] as const) {
        await sh(
          inside(name),
          `iptables -A INPUT -i ${link} -m statistic --mode random --probability ${lossPercent / 100} -j DROP`,
        );
      }
    }
  } catch (error) {
    close();
    throw error;
  }
  return {
    relayAddress,
    relayPrefix: inside(relay),
    edgePrefix: inside(edge),
    description: `veth, MTU 1,500${lossPercent > 0 ? `, ${lossPercent} % of packets lost each way` : ""}`,
    close,
  };
}

function inside(name: string): readonly string[] {
  return ["ip", "netns", "exec", name];
}

async function sh(prefix: readonly string[], command: string): Promise<void> {
  const [program, ...args] = [...prefix, "sh", "-c", command];
  const result = await run(program, args);
  if (result.code !== 0) throw new Error(`${command}: ${result.stderr}`);
}

// TEST-NET-2 (RFC 5737): nobody's real addresses.
const relayAddress = "198.51.100.1";
const edgeAddress = "198.51.100.2";
