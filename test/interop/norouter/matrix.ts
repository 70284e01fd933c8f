import { fileURLToPath } from "node:url";
import { behind, httpProxy, members, socksProxy, type Member, type Mesh } from "./mesh.ts";
import { page } from "./page.mjs";

/** A way to a web server: what curl is told besides the address. */
export const ways = {
  VIP: [],
  "HTTP proxy": ["--proxy", `http://${httpProxy}`],
  CONNECT: ["--proxy", `http://${httpProxy}`, "--proxytunnel"],
  SOCKS4a: ["--socks4a", socksProxy],
  SOCKS5h: ["--socks5-hostname", socksProxy],
} as const;
export type Way = keyof typeof ways;

/** A web server of the mesh, and how its address is written. */
interface Target {
  readonly title: string;
  readonly address: string;
  readonly page: string;
  /** The bastion in front of it, if there is one. */
  readonly via?: "bastion1" | "bastion2";
}

const hostsByVip: readonly Target[] = (["host1", "host2", "host3"] as const).map((name) => ({
  title: name,
  address: `${members[name]}:8080`,
  page: name,
}));
const byProxy: readonly Target[] = [
  { title: "host1", address: "host1:8080", page: "host1" },
  { title: "host2", address: "host2:8080", page: "host2" },
  { title: "host3 by alias", address: "www.host3.example:8080", page: "host3" },
  { title: "host1 by VIP", address: `${members.host1}:8080`, page: "host1" },
  { title: "glob 1", address: "wiki.net1.example", page: "wiki", via: "bastion1" },
  { title: "CIDR 1", address: behind.net1.shop, page: "shop", via: "bastion1" },
  { title: "glob 2", address: "blog.net2.example", page: "blog", via: "bastion2" },
];
/** The web servers that a way leads to. */
export const targets: Readonly<Record<Way, readonly Target[]>> = {
  VIP: hostsByVip,
  "HTTP proxy": byProxy,
  CONNECT: byProxy,
  SOCKS4a: byProxy,
  SOCKS5h: byProxy,
};
/** Who fetches. */
export const sources = ["host0", "host1", "host2", "host3"] as const satisfies readonly Member[];

/** How a round of fetches went. */
export interface Fetches {
  readonly wanted: number;
  /** What had to be fetched again; see {@link triesOf}. */
  readonly again: readonly string[];
  /** What failed for good. */
  readonly faults: readonly string[];
}

/** Every source fetches every target of this way, `rounds` times. */
export async function fetchAll(mesh: Mesh, way: Way, rounds: number): Promise<Fetches> {
  const [again, faults]: [string[], string[]] = [[], []];
  await Promise.all(
    sources.map(async (source) => {
      for (const target of targets[way]) {
        for (let round = 1; round <= rounds; round += 1) {
          const what = `${source} -> ${target.title}, ${way}, ${round}`;
          for (let left = triesOf(mesh, target) - 1; left >= 0; left -= 1) {
            const fault = await fetchOne(mesh, source, way, target);
            if (fault === undefined) break;
            (left > 0 ? again : faults).push(`${what}: ${fault}`);
          }
        }
      }
    }),
  );
  return { wanted: sources.length * targets[way].length * rounds, again, faults };
}

/**
 * How often a fetch may be tried. The original as a bastion resets a connection now and then: it takes its listener for a foreign
 * address away with the last connection there, and a new one that has just been accepted goes with it. Everything else must
 * succeed at once.
 */
function triesOf(mesh: Mesh, { via }: Target): number {
  return via !== undefined && mesh.seats.agents[via].name === "real" ? 5 : 1;
}

async function fetchOne(
  mesh: Mesh,
  source: Member,
  way: Way,
  target: Target,
): Promise<string | undefined> {
  const url = `http://${target.address}/`;
  const result = await mesh.run(source, "curl", [
    ...["--silent", "--show-error", "--fail", "--max-time", "20", "--noproxy", ""],
    ...ways[way],
    url,
  ]);
  if (result.code !== 0) return `curl ended with ${String(result.code)}: ${result.stderr.trim()}`;
  const expected = page(target.page);
  if (result.stdout === expected) return undefined;
  return `${result.stdout.length} characters instead of ${expected.length}: ${result.stdout.slice(0, 60)}`;
}

/** Sends `bytes` bytes from host2 to the web server of host1 by this way, which counts them; gives what went wrong. */
export function upload(mesh: Mesh, way: Way, bytes: number): Promise<string | undefined> {
  return uploadTo(mesh, "host2", way === "VIP" ? members.host1 : "host1", bytes, way);
}

/** Sends `bytes` bytes to the web server of a host, named or by its VIP, which counts them; gives what went wrong. */
export async function uploadTo(
  mesh: Mesh,
  from: Member,
  host: string,
  bytes: number,
  way: Way = "VIP",
): Promise<string | undefined> {
  const command = `head -c ${bytes} /dev/zero | curl -sSf --max-time 60 -H Expect: ${ways[way].join(" ")} --data-binary @- http://${host}:8080/`;
  const result = await mesh.run(from, "sh", ["-c", command], 70_000);
  if (result.code !== 0) return `curl ended with ${String(result.code)}: ${result.stderr.trim()}`;
  return result.stdout.endsWith(` ${bytes}\n`) ? undefined : result.stdout;
}

/** Fetches a page of one byte by VIP so many times in a row, each by a connection of its own, and gives how many in a second. */
export async function fetchMany(mesh: Mesh, times: number): Promise<number> {
  const lines = `url = "http://${members.host1}:8080/1"\\noutput = /dev/null\\n`;
  const command = `for i in $(seq ${times}); do printf '${lines}'; done | curl --silent --show-error --fail --max-time 5 --no-keepalive -H 'Connection: close' --write-out '%{time_total}\\n' --config -`;
  const result = await mesh.run("host2", "sh", ["-c", command], 90_000);
  const seconds = result.stdout.trim().split("\n").map(Number);
  if (result.code !== 0 || seconds.length !== times) {
    throw new Error(
      `${seconds.length} of ${times} pages, at most ${Math.max(...seconds)} s: ${result.stderr}`,
    );
  }
  return times / seconds.reduce((sum, each) => sum + each, 0);
}

/** What iperf3 with these flags besides measured from host2 to host1: bits per second as the receiver counted them. */
export async function iperf(
  mesh: Mesh,
  seconds: number,
  flags: readonly string[],
): Promise<number> {
  const result = await mesh.run("host2", "iperf3", [
    ...["--client", members.host1, "--port", "15201", "--time", String(seconds), "--json"],
    ...flags,
  ]);
  if (result.code !== 0)
    throw new Error(`iperf3 ended with ${String(result.code)}: ${result.stdout}${result.stderr}`);
  const report = JSON.parse(result.stdout) as {
    readonly end: { readonly sum_received: { readonly bits_per_second: number } };
  };
  return report.end.sum_received.bits_per_second;
}

/** The A records that a member's built-in DNS server gives, asked by TCP from the same or another member. */
export async function lookUp(
  mesh: Mesh,
  from: Member,
  server: Member,
  name: string,
): Promise<readonly string[]> {
  const result = await mesh.run(from, process.execPath, [
    dnsQueryPath,
    members[server],
    "10053",
    name,
  ]);
  if (result.code !== 0)
    throw new Error(`${name} asked of ${server} from ${from}: ${result.stderr}`);
  return result.stdout.trim().split(" ").slice(1);
}

const dnsQueryPath = fileURLToPath(new URL("dns-query.mjs", import.meta.url));
