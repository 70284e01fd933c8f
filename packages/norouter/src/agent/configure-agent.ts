import { Netstack } from "@culvert/netstack";
import { ConfigError, errorText, Scope } from "@culvert/runtime";
import { isIpv4, type ConfigureArgs, type RouteSuggestion } from "@culvert/wire";
import { startAgentDns } from "./agent-dns.ts";
import { agentDefaults } from "./agent-defaults.ts";
import { AgentNetwork } from "./agent-network.ts";
import type { AgentMachine } from "./agent-options.ts";
import { Bastion, type BastionOptions } from "./bastion.ts";
import { meshQuery } from "./dns/mesh-query.ts";
import { addToEtcHosts } from "./files/etc-hosts.ts";
import { processOwner } from "./files/region-owner.ts";
import { writeStateDirectory } from "./files/state-directory.ts";
import { forwardLoop } from "./forward-loop.ts";
import { joinDialled } from "./net/join-dialled.ts";
import { isLoopback, parseListenAddress } from "./net/listen-address.ts";
import { OsListener } from "./net/os-listener.ts";
import { HttpProxy } from "./proxy/http-proxy.ts";
import { SocksProxy } from "./proxy/socks-proxy.ts";
import { agentRouter } from "./resolver/agent-router.ts";
import { NameLookups } from "./resolver/name-lookups.ts";
import { Resolver } from "./resolver/resolver.ts";

/** What a configured agent needs of its surroundings. */
export interface ConfigureDeps {
  readonly machine: AgentMachine;
  readonly bastion: BastionOptions;
  /** Sends a packet to the manager, or drops it. */
  readonly sendPacket: (packet: Uint8Array) => void;
  /** Tells the manager of a route; false where it cannot be told. */
  readonly suggest: (suggestion: RouteSuggestion) => boolean;
}

/** An agent that does what it was told. */
export interface ConfiguredAgent {
  /** Takes a packet from the manager, and its memory. */
  readonly receive: (packet: Uint8Array) => void;
  /** Ends every connection, frees every port, and takes the hosts out of the system's file again. Never rejects. */
  readonly close: () => Promise<void>;
}

/**
 * Does what a configure asks for, in NoRouter's order; where a step fails, those before it are undone. Files are the exception: that they
 * cannot be written is logged and no failure.
 * @throws ConfigError, TransportError.
 */
export async function configureAgent(
  args: ConfigureArgs,
  deps: ConfigureDeps,
): Promise<ConfiguredAgent> {
  const scope = new Scope();
  const { log } = deps.machine;
  const close = (): Promise<void> =>
    scope.close().catch((error: unknown) => {
      log.warn("exit.fault", { reason: errorText(error) });
    });
  try {
    const stack = await start(args, deps, scope);
    return { receive: (packet) => stack.receive(packet), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function start(args: ConfigureArgs, deps: ConfigureDeps, scope: Scope): Promise<Netstack> {
  const { machine } = deps;
  const { clock, random } = machine;
  const { me, routes } = args;
  if (!isIpv4(me)) {
    throw new ConfigError("bad_address", `unexpected IP ${me === "" ? "<nil>" : me}`);
  }
  const stack = new Netstack({
    clock,
    random,
    output: deps.sendPacket,
    addresses: [me],
    tcp: { keepAliveMs: agentDefaults.meshKeepAliveMs },
  });
  scope.add(() => stack.close({ by: "us", code: "agent_closed", text: "" }));
  const network = new AgentNetwork({ clock, stack, me });
  const bastion = startBastion(machine, deps.bastion, { me, routes, network });
  stack.onUnclaimed = (local, remote) => bastion.claim(local, remote);
  const parts = { machine, stack, network, scope };
  await openForwards(args, parts);
  await openOthers(args, parts);
  await startAgentDns(args, {
    ...parts,
    onAnswered: (name, ips) => bastion.learn(name, ips),
  });
  if (args.http.listen !== "" || args.socks.listen !== "") {
    await openProxies(args, deps.suggest, parts);
  }
  await writeFiles(args, machine, scope);
  return stack;
}

interface Parts {
  readonly machine: AgentMachine;
  readonly stack: Netstack;
  readonly network: AgentNetwork;
  readonly scope: Scope;
}

function startBastion(
  { log, clock }: AgentMachine,
  options: BastionOptions,
  { me, routes, network }: Pick<ConfigureArgs, "me" | "routes"> & Pick<Parts, "network">,
): Bastion {
  return new Bastion(
    {
      log,
      clock,
      me,
      routes,
      join: (accepted, host, port) =>
        joinDialled(accepted, {
          log,
          fields: { listener: "bastion", target: `${host}:${port}` },
          dial: (signal) => network.dialSystem(host, port, signal),
        }),
    },
    options,
  );
}

/** Own ports: on loopback and in the virtual network, both lead straight to the service. */
async function openForwards(
  { me, forwards, loopback }: ConfigureArgs,
  parts: Parts,
): Promise<void> {
  const { machine, stack, network, scope } = parts;
  const { log } = machine;
  const port = forwardLoop({ me, forwards, loopback });
  if (port !== undefined) {
    throw new ConfigError("bad_config", `port ${port} leads to itself: it is forwarded to ${me}`, {
      data: { port },
    });
  }
  for (const { listenPort, connectIp, connectPort, proto } of forwards) {
    if (proto !== "tcp") {
      throw new ConfigError("bad_config", `expected proto be "tcp", got ${JSON.stringify(proto)}`);
    }
    const join = {
      log,
      fields: { listener: `forward ${listenPort}`, target: `${connectIp}:${connectPort}` },
      dial: (signal: AbortSignal) => network.dialSystem(connectIp, connectPort, signal),
    };
    if (!loopback.disable) {
      const listener = await OsListener.open({
        name: "forward",
        host: me,
        port: listenPort,
        log,
        onConnection: (socket) => void joinDialled(socket, join),
      });
      scope.add(() => listener.close());
    }
    const listener = stack.listen({ address: me, port: listenPort }, {}, (connection) => {
      void joinDialled(connection, join);
    });
    scope.add(() => listener.close());
  }
}

/** Ports of other hosts, on loopback. */
async function openOthers({ others, loopback }: ConfigureArgs, parts: Parts): Promise<void> {
  const { machine, network, scope } = parts;
  const { log } = machine;
  if (loopback.disable) return;
  for (const { ip, port } of others) {
    const target = `${ip}:${port}`;
    const listener = await OsListener.open({
      name: "other",
      host: ip,
      port,
      log,
      onConnection: (socket) =>
        void joinDialled(socket, {
          log,
          fields: { listener: "other", target },
          dial: (signal) => network.dialMesh(ip, port, signal),
        }),
    });
    scope.add(() => listener.close());
  }
}

async function openProxies(
  args: ConfigureArgs,
  suggest: ConfigureDeps["suggest"],
  { machine, network, scope }: Parts,
): Promise<void> {
  const { clock, random, log } = machine;
  const router = agentRouter(args);
  const { nameServers, hostnameMap } = args;
  const { dialMesh } = network;
  const queryVia = (via: string, name: string, signal?: AbortSignal): Promise<string[]> =>
    meshQuery({ clock, random, nameServers, dialMesh }, via, name, signal);
  const lookups = new NameLookups(machine.lookup);
  const lookup = lookups.find.bind(lookups);
  const resolver = new Resolver({ router, lookup, queryVia, suggest }, hostnameMap);
  const proxyDeps = { clock, log, network: network.forProxies(resolver, router) };
  const proxies = [
    { name: "http", listen: args.http.listen, proxy: new HttpProxy(proxyDeps) },
    { name: "socks", listen: args.socks.listen, proxy: new SocksProxy(proxyDeps) },
  ];
  for (const { name, listen, proxy } of proxies) {
    if (listen === "") continue;
    const listener = await OsListener.open({
      name,
      ...parseListenAddress(listen),
      log,
      onConnection: (socket) => proxy.serve(socket),
    });
    scope.add(() => listener.close());
    const { address } = listener;
    log.info("norouter.agent.listening", { listener: name, address });
    if (!isLoopback(address))
      log.warn("norouter.agent.proxy.open", { listener: name, address, text: openProxyText });
  }
}

async function writeFiles(args: ConfigureArgs, machine: AgentMachine, scope: Scope): Promise<void> {
  const { me, hostnameMap, stateDir, writeEtcHosts } = args;
  const { clock, log, environment, etcHosts } = machine;
  if (!stateDir.disable) {
    await attempt(log, "state directory", () =>
      writeStateDirectory({ path: stateDir.path, environment, hostnameMap, etcHosts }),
    );
  }
  if (writeEtcHosts) {
    await attempt(log, etcHosts, async () => {
      const owner = processOwner(me);
      scope.add(await addToEtcHosts(etcHosts, hostnameMap, { owner, clock }));
      return etcHosts;
    });
  }
}

async function attempt(
  log: AgentMachine["log"],
  what: string,
  write: () => Promise<string>,
): Promise<void> {
  try {
    log.debug("norouter.agent.file.written", { path: await write() });
  } catch (error) {
    log.warn("norouter.agent.file.failed", { what, reason: errorText(error) });
  }
}

/** What an open proxy means: nobody is asked who they are. */
const openProxyText =
  "everybody who reaches this machine by its network may use this proxy, and by it the virtual network, its routes, and what this machine reaches; listen at 127.0.0.1 to be alone";
