import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../../support/child.ts";
import { lanes, threeProcesses, type Peer, type StartContext } from "./peer.ts";

/**
 * rathole over Noise. It has no client side: TCP clients talk to the relay in plain text, so it carries every byte over one
 * encrypted hop where the others have two.
 */
export const ratholePeer: Peer = {
  name: "rathole",
  title: "rathole (noise, one hop)",
  programs: ["rathole"],
  async start(context) {
    const { crew, place, relayLanes } = context;
    const { relayAddress } = place;
    const rathole = context.program("rathole");
    const [relay, server] = await writeConfiguration(context, rathole);
    return threeProcesses(
      context,
      {
        relay: () => crew.start(place.relayPrefix, rathole, ["--server", relay]),
        server: () => crew.start(place.edgePrefix, rathole, ["--client", server]),
      },
      {
        echo: { host: relayAddress, port: relayLanes.echo },
        bulk: { host: relayAddress, port: relayLanes.bulk },
      },
    );
  },
};

async function writeConfiguration(
  context: StartContext,
  rathole: string,
): Promise<readonly [string, string]> {
  const { folder, place, relayPort, relayLanes, targets } = context;
  const made = await run(rathole, ["--genkey"]);
  const key = (kind: string): string =>
    new RegExp(`${kind} Key:\\s*(\\S+)`, "i").exec(made.stdout)?.[1] ?? "";
  const token = randomBytes(12).toString("hex");
  const address = `${place.relayAddress}:${relayPort}`;
  const files = [join(folder, "relay.toml"), join(folder, "server.toml")] as const;
  const relay = [
    ...["[server]", `bind_addr = "${address}"`, `default_token = "${token}"`],
    ...["[server.transport]", 'type = "noise"'],
    ...["[server.transport.noise]", `local_private_key = "${key("Private")}"`],
    ...lanes.flatMap((lane) => [
      `[server.services.${lane}]`,
      `bind_addr = "${place.relayAddress}:${relayLanes[lane]}"`,
    ]),
  ];
  const server = [
    ...["[client]", `remote_addr = "${address}"`, `default_token = "${token}"`],
    ...["[client.transport]", 'type = "noise"'],
    ...["[client.transport.noise]", `remote_public_key = "${key("Public")}"`],
    ...lanes.flatMap((lane) => [
      `[client.services.${lane}]`,
      `local_addr = "127.0.0.1:${targets[lane]}"`,
    ]),
  ];
  await writeFile(files[0], `${relay.join("\n")}\n`);
  await writeFile(files[1], `${server.join("\n")}\n`);
  return files;
}
