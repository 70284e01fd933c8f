import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { run } from "./child.ts";

/** One network namespace with its loopback up. */
export interface Namespace {
  readonly name: string;
  /** What to put in front of a command to run it inside. */
  readonly prefix: readonly string[];
  /** Runs a command inside; throws if it fails. */
  sh(command: string): Promise<string>;
}

/**
 * Makes a namespace; root only. The owner removes it with {@link removeNamespace}.
 * Each of `etc` is a file that programs inside see in place of the one in /etc (ip-netns(8)).
 */
export async function makeNamespace(
  name: string,
  etc: Readonly<Record<string, string>> = {},
): Promise<Namespace> {
  if (Object.keys(etc).length > 0) mkdirSync(etcFolder(name), { recursive: true });
  for (const [file, text] of Object.entries(etc)) writeFileSync(`${etcFolder(name)}/${file}`, text);
  const made = await run("ip", ["netns", "add", name]);
  if (made.code !== 0) throw new Error(`ip netns add: ${made.stderr}`);
  const prefix = ["ip", "netns", "exec", name];
  const sh = async (command: string): Promise<string> => {
    const result = await run("ip", ["netns", "exec", name, "sh", "-c", command]);
    if (result.code !== 0) throw new Error(`${command}: ${result.stderr}`);
    return result.stdout;
  };
  await sh("ip link set lo up");
  return { name, prefix, sh };
}

/** Removes a namespace, with its links and its files. */
export async function removeNamespace(name: string): Promise<void> {
  await run("ip", ["netns", "delete", name]);
  rmSync(etcFolder(name), { recursive: true, force: true });
}

function etcFolder(name: string): string {
  return `/etc/netns/${name}`;
}
