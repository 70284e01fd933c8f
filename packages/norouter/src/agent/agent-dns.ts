import type { Netstack } from "@culvert/netstack";
import { ConfigError, errorText, type Scope } from "@culvert/runtime";
import type { ConfigureArgs } from "@culvert/wire";
import type { AgentMachine } from "./agent-options.ts";
import type { AgentNetwork } from "./agent-network.ts";
import { askUpstream } from "./dns/ask-upstream.ts";
import { DnsAnswerer } from "./dns/dns-answerer.ts";
import { DnsTcpService } from "./dns/dns-tcp-service.ts";
import { DnsUdpListener } from "./dns/dns-udp-listener.ts";
import { MeshDnsRelay } from "./dns/mesh-dns-relay.ts";
import { udpAnswer } from "./dns/udp-answer.ts";
import { joinDialled } from "./net/join-dialled.ts";
import { OsListener } from "./net/os-listener.ts";

/** What the DNS of an agent stands on. */
export interface AgentDnsDeps {
  readonly machine: AgentMachine;
  readonly stack: Netstack;
  readonly network: AgentNetwork;
  readonly scope: Scope;
  /** Told of the addresses that our own DNS gave for a name. */
  readonly onAnswered: (name: string, ips: readonly string[]) => void;
}

/**
 * Starts the agent's own DNS in the virtual network, and a way from loopback to the DNS of every host, by TCP and UDP.
 * @throws ConfigError where our own is not of TCP or there are two; TransportError where a port cannot be had.
 */
export async function startAgentDns(args: ConfigureArgs, deps: AgentDnsDeps): Promise<void> {
  const { machine, network, scope } = deps;
  const { clock, log } = machine;
  const { me, hostnameMap, nameServers, loopback } = args;
  let answerer: DnsAnswerer | undefined;
  for (const { ip, port, proto } of nameServers) {
    if (ip === me) {
      if (proto !== "tcp") {
        throw new ConfigError(
          "bad_config",
          `expected "tcp", got ${JSON.stringify(proto)} as the built-in DNS port`,
        );
      }
      if (answerer !== undefined) {
        throw new ConfigError("bad_config", `${me} has two name servers; at most one is possible`);
      }
      answerer = ownDns(hostnameMap, port, deps, me);
    }
    if (loopback.disable) continue;
    const listener = await OsListener.open({
      name: "dns",
      host: ip,
      port,
      log,
      onConnection: (socket) =>
        void joinDialled(socket, {
          log,
          fields: { listener: "dns", target: `${ip}:${port}` },
          dial: (signal) => network.dialMesh(ip, port, signal),
        }),
    });
    scope.add(() => listener.close());
    const dial = (signal: AbortSignal) => network.dialMesh(ip, port, signal);
    const source =
      ip === me && answerer !== undefined ? answerer : new MeshDnsRelay({ clock, log, dial });
    await openUdp(ip, port, source, deps);
  }
}

function ownDns(
  hostnameMap: ReadonlyMap<string, string>,
  port: number,
  { machine, stack, scope, onAnswered }: AgentDnsDeps,
  me: string,
): DnsAnswerer {
  const { clock, log } = machine;
  const answerer = new DnsAnswerer(
    {
      log,
      askUpstream: async (query) => askUpstream(query, await machine.dnsServers(), clock),
      onAnswered,
    },
    hostnameMap,
  );
  const service = new DnsTcpService(answerer, clock);
  const listener = stack.listen({ address: me, port }, {}, (connection) => {
    service.serve(connection);
  });
  scope.add(() => listener.close());
  const udp = stack.bindUdp({ address: me, port }, ({ payload, remote }, socket) => {
    void udpAnswer(payload, (query) => answerer.answer(query)).then((answer) => {
      if (answer !== undefined) socket.send(remote, answer);
    });
  });
  scope.add(() => udp.close());
  return answerer;
}

/** NoRouter's agents have no DNS of UDP, so that nobody relies on it where the port is taken. */
async function openUdp(
  address: string,
  port: number,
  source: Pick<DnsAnswerer, "answer">,
  { machine: { log }, scope }: AgentDnsDeps,
): Promise<void> {
  try {
    const answer = (query: Uint8Array) => source.answer(query);
    const listener = await DnsUdpListener.open({ address, port, log, answer });
    scope.add(() => listener.close());
  } catch (error) {
    log.warn("entrance.fault", { entrance: "dns udp", reason: errorText(error) });
  }
}
