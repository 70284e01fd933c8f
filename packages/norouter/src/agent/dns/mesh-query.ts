import { TransportError, type ByteStream, type Clock, type Random } from "@culvert/runtime";
import type { NorouterPort } from "@culvert/wire";
import { agentDefaults } from "../agent-defaults.ts";
import { askOverStream } from "./ask-over-stream.ts";
import { addressesOf, decodeDns, encodeAddressQuery } from "./dns-message.ts";

/** What questions by way of the virtual network need. */
export interface MeshQueryDeps {
  readonly clock: Clock;
  readonly random: Random;
  /** The built-in DNS of all hosts. */
  readonly nameServers: readonly NorouterPort[];
  /** Connects through the virtual network. */
  readonly dialMesh: (ip: string, port: number, signal: AbortSignal) => Promise<ByteStream>;
}

/**
 * Asks the DNS of the host with virtual address `via` for the IPv4 addresses of a name, over TCP through the virtual network.
 * @throws TransportError `name_not_found` where that host has no DNS, or as `askOverStream`; WireError for an answer that is none.
 */
export async function meshQuery(
  { clock, random, nameServers, dialMesh }: MeshQueryDeps,
  via: string,
  name: string,
  signal?: AbortSignal,
): Promise<string[]> {
  const server = nameServers.find(({ ip }) => ip === via);
  if (server === undefined) {
    throw new TransportError("name_not_found", `no name server of ${via} is known`, {
      data: { via, name },
    });
  }
  const [high = 0, low = 0] = random.bytes(2);
  const query = encodeAddressQuery(high * 256 + low, name);
  const dial = (end: AbortSignal): Promise<ByteStream> => dialMesh(server.ip, server.port, end);
  const answer = await askOverStream(query, dial, {
    clock,
    limit: agentDefaults.meshQueryTimeout,
    what: `DNS of ${via} for ${name}`,
    signal,
  });
  return addressesOf(decodeDns(answer));
}
