import { existsSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { generateIdentity, writeIdentityFile } from "@culvert/identity";
import { ConfigError, errorText, systemCode } from "@culvert/runtime";
import { parseName } from "@culvert/wire";
import {
  adminPort,
  clientYaml,
  hasLink,
  hasWss,
  relayYaml,
  serverYaml,
  webPort,
  type TrialOptions,
} from "./trial-files.ts";

/**
 * Writes the three configurations and keys of a trial into a folder; all six files or none. Returns what to tell the user.
 * @throws ConfigError `already_exists` where a file is there already, `bad_usage` where names or ports do not go together,
 * `unwritable_file` where a file cannot be written.
 */
export async function initTrial(dir: string, options: TrialOptions): Promise<string> {
  checkOptions(options);
  const present = [...texts, ...keys].filter((name) => existsSync(join(dir, name)));
  if (present.length > 0) {
    const names = present.join(", ");
    const what = `${dir} has ${names} already, and nothing is overwritten; choose another folder or move them away`;
    throw new ConfigError("already_exists", what, { data: { dir, present } });
  }
  const identities = {
    relay: generateIdentity(),
    server: generateIdentity(),
    client: generateIdentity(),
  };
  const peers = {
    relay: identities.relay.peerId,
    server: identities.server.peerId,
    client: identities.client.peerId,
  };
  const written: string[] = [];
  try {
    await makeFolder(dir);
    for (const role of ["relay", "server", "client"] as const) {
      const file = join(dir, `${role}.key`);
      await writeIdentityFile(file, identities[role]);
      written.push(file);
    }
    const contents = [
      relayYaml(options, peers),
      serverYaml(options, peers),
      clientYaml(options, peers),
    ];
    for (const [index, name] of texts.entries()) {
      const file = join(dir, name);
      // Passwords may be added later, so these too are for their owner only.
      await writeFile(file, contents[index] ?? "", { flag: "wx", mode: 0o600 });
      written.push(file);
    }
  } catch (error) {
    for (const file of written) await rm(file, { force: true });
    if (error instanceof ConfigError) throw error;
    throw new ConfigError("unwritable_file", `cannot write into ${dir}: ${errorText(error)}`, {
      data: { dir },
      cause: error,
    });
  }
  return nextSteps(dir, options);
}

/** Makes a folder and those above it, one by one: Node's recursive `mkdir` never returns on a file system like /proc. */
async function makeFolder(dir: string): Promise<void> {
  const above = dirname(dir);
  if (above !== dir && !existsSync(above)) await makeFolder(above);
  try {
    await mkdir(dir, { mode: 0o700 });
  } catch (error) {
    if (systemCode(error) !== "EEXIST") throw error;
  }
}

function checkOptions(options: TrialOptions): void {
  const { relayPort, listenPort, targetPort, serverName, clientName } = options;
  parseName(serverName);
  parseName(clientName);
  if (serverName === clientName) {
    throw usage(`--server-name and --client-name are both ${serverName}; they must differ`);
  }
  const admin = adminPort(options);
  const web = webPort(options);
  if (web > 65_535) {
    throw usage(`--relay-port ${relayPort} leaves no room for the ports 10 and 11 above it`);
  }
  if (listenPort === targetPort) {
    throw usage(`--listen-port and --target-port are both ${listenPort}; they must differ`);
  }
  if (admin === listenPort || admin === targetPort) {
    throw usage(`port ${admin} is the relay's admin port (10 above --relay-port); choose another`);
  }
  if (hasWss(options) && (web === listenPort || web === targetPort)) {
    const what = "the relay's port for WebSocket (11 above --relay-port)";
    throw usage(`port ${web} is ${what}; choose another`);
  }
}

function usage(text: string): ConfigError {
  return new ConfigError("bad_usage", text);
}

function nextSteps(dir: string, options: TrialOptions): string {
  const { listenPort, targetPort } = options;
  const file = (name: string): string => {
    const path = join(dir, name);
    return /^[\w./-]+$/.test(path) ? path : JSON.stringify(path);
  };
  return `Wrote relay.yaml, server.yaml, client.yaml and a key for each into ${dir}.

Run each of these in a terminal of its own:
  nc -l -p ${targetPort}                                  (your TCP server; any will do)
  culvert relay --config ${file("relay.yaml")}
${hasLink(options) ? "" : `  culvert server --config ${file("server.yaml")}\n`}  culvert client --config ${file("client.yaml")}
  nc 127.0.0.1 ${listenPort}                              (your TCP client)
${hasLink(options) ? "The relay starts the server by itself: links in relay.yaml says how.\n" : ""}
What you type into one nc comes out of the other. To see it from outside:
  culvert status --config ${file("relay.yaml")}

${otherMachines(options)}
`;
}

function otherMachines(options: TrialOptions): string {
  if (hasLink(options)) {
    return `For another machine: move server.yaml and server.key there, and let the command in relay.yaml lead there, such as
  ssh user@box -- culvert agent --stdio --config server.yaml`;
  }
  return `For two or three machines: move server.yaml and server.key, and client.yaml and client.key, to where they run,
let the relay listen at its public addresses, and set relay.address${hasWss(options) ? " and relay.wss" : ""} in the other two.`;
}

const texts = ["relay.yaml", "server.yaml", "client.yaml"];
const keys = ["relay.key", "server.key", "client.key"];
