import type { TransportName } from "@culvert/config";
import type { PeerId } from "@culvert/identity";

/** What a trial is made of. */
export interface TrialOptions {
  readonly relayPort: number;
  readonly listenPort: number;
  readonly targetPort: number;
  readonly serverName: string;
  readonly clientName: string;
  /** What may carry the sessions, the preferred one first; `norouter` alone: the relay starts the server, and the client dials. */
  readonly transports: readonly TransportName[];
  /** How a link calls this program; default: `culvert`. */
  readonly program?: readonly string[] | undefined;
}

/** The peer ids of a trial's three processes. */
export interface TrialPeers {
  readonly relay: PeerId;
  readonly server: PeerId;
  readonly client: PeerId;
}

/** The text of relay.yaml. */
export function relayYaml(options: TrialOptions, peers: TrialPeers): string {
  const { targetPort, serverName, clientName } = options;
  return `# The relay: clients and servers dial in here, and it joins their connections as far as the grants allow.
# culvert relay --config relay.yaml
role: relay

identity:
  keyFile: relay.key # peer id ${peers.relay}

${listeners(options)}
${links(options)}
# Who may attach. The id is printed by: culvert key show FILE
peers:
  - name: ${serverName}
    id: ${peers.server}
    role: server
  - name: ${clientName}
    id: ${peers.client}
    role: client

# Who may reach what. Services are names that the server offers, ports, ranges such as 8000-8100, host:port, or "*".
# What is not granted is refused, and the server decides once more by its own list.
grants:
  - client: ${clientName}
    server: ${serverName}
    services: ["${targetPort}"]

# /metrics, /healthz and /readyz.
admin:
  listen: 127.0.0.1:${adminPort(options)}
`;
}

/** The text of server.yaml. */
export function serverYaml(options: TrialOptions, peers: TrialPeers): string {
  const { targetPort, serverName } = options;
  const start = hasLink(options)
    ? `# The end-server proxy: a link of the relay starts it, and it dials the targets below when clients ask for them.
# culvert agent --stdio --config server.yaml`
    : `# The end-server proxy: it dials the relay, and dials the targets below when clients ask for them.
# culvert server --config server.yaml`;
  return `${start}
role: server
name: ${serverName}

identity:
  keyFile: server.key # peer id ${peers.server}

${relayOfServer(options, peers)}
# Named services: clients ask for ${serverName}:ssh and need not know where it is. unix:/path works too.
# services:
#   ssh: 127.0.0.1:22

# Other addresses that clients may ask for; a port alone means 127.0.0.1. Networks work too: 192.168.1.0/24:80,443,8000-8100
allow:
  - 127.0.0.1:${targetPort}
`;
}

/** The text of client.yaml. */
export function clientYaml(options: TrialOptions, peers: TrialPeers): string {
  const { relayPort, listenPort, targetPort, serverName, clientName } = options;
  return `# The client proxy: it dials the relay and listens locally; what connects here comes out at the server's target.
# culvert client --config client.yaml
role: client
name: ${clientName}

identity:
  keyFile: client.key # peer id ${peers.client}

# Where the relay is, and the only relay that is accepted there.
relay:
  address: 127.0.0.1:${relayPort}
  id: ${peers.relay}
${transports(options)}
# Local TCP listeners and where their connections go: SERVER:SERVICE, SERVER:PORT or SERVER:HOST:PORT.
forwards:
  - listen: 127.0.0.1:${listenPort}
    to: ${serverName}:${targetPort}

# A SOCKS5 proxy for programs that know it:
# socks:
#   listen: 127.0.0.1:1080
`;
}

function listeners(options: TrialOptions): string {
  const { relayPort } = options;
  const byQuic = `# UDP addresses where clients and servers dial in. On a public machine: 0.0.0.0:${relayPort}, and "[::]:${relayPort}" for IPv6.
listen:
  - 127.0.0.1:${relayPort}`;
  if (!hasWss(options)) return byQuic;
  const byWebSocket = `# TCP addresses where they dial in by WebSocket, for networks that block UDP. On a public machine: 0.0.0.0:443, since 443 passes
# nearly everywhere.
web:
  https:
    - 127.0.0.1:${webPort(options)}`;
  const isAlone = options.transports.length === 1 && !hasLink(options);
  return `${isAlone ? "# UDP addresses: none, so WebSocket is the only way.\nlisten: []" : byQuic}\n\n${byWebSocket}`;
}

/** The links of relay.yaml, where there are any. */
function links(options: TrialOptions): string {
  if (!hasLink(options)) return "";
  const { program = ["culvert"], serverName } = options;
  const command = [...program, "agent", "--stdio", "--config", "server.yaml"];
  return `
# Peers that the relay goes to itself: it starts the command, whose standard input and output lead to culvert agent --stdio there.
# For another machine: ssh user@box -- culvert agent --stdio --config server.yaml, or docker exec -i, or kubectl exec -i.
links:
  - name: ${serverName}
    command: ${JSON.stringify(command)}
`;
}

/** How server.yaml says where its relay is. */
function relayOfServer(options: TrialOptions, peers: TrialPeers): string {
  if (hasLink(options)) {
    return `# The only relay that is accepted at the other end of standard input and output.
relay:
  id: ${peers.relay}

# The session comes by a link of the relay.
transports: [norouter]
`;
  }
  return `# Where the relay is, and the only relay that is accepted there.
relay:
  address: 127.0.0.1:${options.relayPort}
  id: ${peers.relay}
${transports(options)}`;
}

/** What follows `relay.id`. */
function transports(options: TrialOptions): string {
  const wss = `  wss: 127.0.0.1:${webPort(options)} # port 443 of the relay's host unless said\n`;
  return `${hasWss(options) ? wss : ""}
# How it is dialled: quic (UDP), wss (WebSocket over TLS), or both, the first being preferred.
transports: [${dialled(options).join(", ")}]
`;
}

/** The relay's TCP port of a trial, for sessions by WebSocket. */
export function webPort({ relayPort }: TrialOptions): number {
  return relayPort + 11;
}

/** Whether sessions may go by WebSocket. */
export function hasWss({ transports }: TrialOptions): boolean {
  return transports.includes("wss") || transports.includes("norouter");
}

/** Whether the relay starts the server. */
export function hasLink({ transports }: TrialOptions): boolean {
  return transports.includes("norouter");
}

/** What whoever dials dials by. */
function dialled(options: TrialOptions): readonly TransportName[] {
  return hasLink(options) ? ["quic", "wss"] : options.transports;
}

/** The relay's admin port of a trial. */
export function adminPort({ relayPort }: TrialOptions): number {
  return relayPort + 10;
}
