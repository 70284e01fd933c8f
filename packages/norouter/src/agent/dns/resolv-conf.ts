import { readFile } from "node:fs/promises";
import { isIP } from "node:net";

/** The servers that the text of a resolv.conf names, in its order. */
export function parseResolvConf(text: string): string[] {
  const servers = text.split("\n").flatMap((line) => {
    const [key, value = ""] = line.trim().split(/\s+/);
    const address = value.replace(/%.*$/, "");
    return key === "nameserver" && isIP(address) !== 0 ? [address] : [];
  });
  return servers.slice(0, maxServers);
}

/** The servers of the system; where it names none, those that NoRouter takes. Never rejects. */
export async function systemDnsServers(path: string): Promise<string[]> {
  const text = await readFile(path, "utf8").catch(() => "");
  const servers = parseResolvConf(text);
  return servers.length > 0 ? servers : publicServers;
}

const publicServers = ["8.8.8.8", "1.1.1.1"];
/** The C library looks at three. */
const maxServers = 8;
