import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { lanes, threeProcesses, type Lane, type Peer, type StartContext } from "./peer.ts";

/** frp with a secret proxy on the server's side and a visitor on the client's; TLS is on, over TCP or QUIC. */
export function frpPeer(protocol: "tcp" | "quic"): Peer {
  return {
    name: `frp-${protocol}`,
    title: `frp (${protocol})`,
    programs: ["frps", "frpc"],
    async start(context) {
      const files = await writeConfiguration(context, protocol);
      const { crew, place } = context;
      const frpc = (file: string) =>
        crew.start(place.edgePrefix, context.program("frpc"), ["-c", file]);
      return threeProcesses(context, {
        relay: () => crew.start(place.relayPrefix, context.program("frps"), ["-c", files.relay]),
        server: () => frpc(files.server),
        client: () => frpc(files.client),
      });
    },
  };
}

async function writeConfiguration(context: StartContext, protocol: "tcp" | "quic") {
  const { place, relayPort, targets, entrances } = context;
  const token = randomBytes(12).toString("hex");
  const secret = randomBytes(12).toString("hex");
  const auth = [`auth.token = "${token}"`, 'log.level = "warn"'];
  const dial = [
    `serverAddr = "${place.relayAddress}"`,
    `serverPort = ${relayPort}`,
    `transport.protocol = "${protocol}"`,
    "transport.tls.enable = true",
    "loginFailExit = false",
    ...auth,
  ];
  const relay = [
    `bindAddr = "${place.relayAddress}"`,
    `bindPort = ${relayPort}`,
    ...(protocol === "quic" ? [`quicBindPort = ${relayPort}`] : []),
    ...auth,
  ];
  const server = lanes.flatMap((lane: Lane) => [
    "[[proxies]]",
    `name = "${lane}"`,
    'type = "stcp"',
    `secretKey = "${secret}"`,
    'localIP = "127.0.0.1"',
    `localPort = ${targets[lane]}`,
  ]);
  const client = lanes.flatMap((lane: Lane) => [
    "[[visitors]]",
    `name = "${lane}-visitor"`,
    'type = "stcp"',
    `serverName = "${lane}"`,
    `secretKey = "${secret}"`,
    'bindAddr = "127.0.0.1"',
    `bindPort = ${entrances[lane]}`,
  ]);
  return {
    relay: await write(context, "frps.toml", relay),
    server: await write(context, "server.toml", [...dial, ...server]),
    client: await write(context, "client.toml", [...dial, ...client]),
  };
}

async function write(context: StartContext, name: string, lines: readonly string[]) {
  const file = join(context.folder, name);
  await writeFile(file, `${lines.join("\n")}\n`);
  return file;
}
