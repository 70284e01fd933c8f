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

async function useNamespace(name: string): Promise<Namespace> {
  onTestFinished(() => removeNamespace(name));
  return makeNamespace(name);
}
