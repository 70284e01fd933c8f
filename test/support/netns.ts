import { onTestFinished } from "vitest";
import { randomBytes } from "node:crypto";
import { makeNamespace, removeNamespace, type Namespace } from "./namespace.ts";

export type { Namespace } from "./namespace.ts";

/** Two network namespaces joined by a veth pair. */
export interface TwoNamespaces {
  /** Holds the relay, at {@link wanAddress}. */
  readonly wan: Namespace;
  /** Holds the server, the client and both ends of the user's connection. */
  readonly lan: Namespace;
  readonly wanAddress: string;
}

/** Makes the two and their 1,500-byte link for as long as the test runs; root only. */
export async function useTwoNamespaces(): Promise<TwoNamespaces> {
  const tag = randomBytes(3).toString("hex");
  const [wan, lan] = [await useNamespace(`cvw-${tag}`), await useNamespace(`cvl-${tag}`)];
  // Both ends are born inside, so that nothing of them is ever seen outside; they vanish with their namespaces.
  await wan.sh(`ip link add cv-wan mtu 1500 type veth peer name cv-lan mtu 1500 netns ${lan.name}`);
  await wan.sh("ip addr add 198.51.100.1/24 dev cv-wan && ip link set cv-wan up");
  await lan.sh("ip addr add 198.51.100.2/24 dev cv-lan && ip link set cv-lan up");
  return { wan, lan, wanAddress: "198.51.100.1" };
}

/** Three network namespaces: what stands between two private networks, and one in each. */
export interface Internet {
  /** Has an address in both networks, and is where the names lead to. */
  readonly relay: Namespace;
  readonly site: Namespace;
  readonly visitor: Namespace;
}

/** Makes the three for as long as the test runs; root only. Programs in the other two find the relay by any of the names. */
export async function useInternet(names: readonly string[]): Promise<Internet> {
  const tag = randomBytes(3).toString("hex");
  const hosts = (address: string): Record<string, string> => ({
    hosts: `127.0.0.1 localhost\n${address} ${names.join(" ")}\n`,
  });
  const relay = await useNamespace(`cvr-${tag}`);
  const site = await useNamespace(`cvs-${tag}`, hosts("198.51.100.1"));
  const visitor = await useNamespace(`cvv-${tag}`, hosts("203.0.113.1"));
  for (const [at, device, network] of [
    [site, "cv-site", "198.51.100"],
    [visitor, "cv-visitor", "203.0.113"],
  ] as const) {
    await relay.sh(`ip link add ${device} type veth peer name cv-relay netns ${at.name}`);
    await relay.sh(`ip addr add ${network}.1/24 dev ${device} && ip link set ${device} up`);
    await at.sh(`ip addr add ${network}.2/24 dev cv-relay && ip link set cv-relay up`);
  }
  return { relay, site, visitor };
}

async function useNamespace(
  name: string,
  etc?: Readonly<Record<string, string>>,
): Promise<Namespace> {
  onTestFinished(() => removeNamespace(name));
  return makeNamespace(name, etc);
}
