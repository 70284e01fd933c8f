/**
 * The throughput of a mesh of ours beside a mesh of the original, on this machine, as a table on standard output:
 *
 *     NOROUTER_BIN=… node --conditions=@culvert/source --import tsx test/interop/norouter/bench.ts [rounds]
 *
 * Both meshes are up at once and idle but for the one that is measured; they take turns, measure by measure. Root only.
 */
import { fetchMany, iperf, ways, type Way } from "./matrix.ts";
import { allAgents, members, Mesh, type Seats } from "./mesh.ts";
import { ours, realProgram } from "./program.ts";
import { waitUntil } from "../../support/wait.ts";

const mebibyte = 1024 * 1024;
const downloadBytes = 128 * mebibyte;
const seconds = 4;

/** One thing that is measured; MiB/s, or requests a second. */
interface Measure {
  readonly title: string;
  readonly unit: string;
  take(mesh: Mesh): Promise<number>;
}

const measures: readonly Measure[] = [
  { title: "iperf3 by VIP, one stream", unit: "MiB/s", take: (mesh) => rate(mesh, []) },
  {
    title: "iperf3 by VIP, one stream back",
    unit: "MiB/s",
    take: (mesh) => rate(mesh, ["--reverse"]),
  },
  {
    title: "iperf3 by VIP, 8 streams",
    unit: "MiB/s",
    take: (mesh) => rate(mesh, ["--parallel", "8"]),
  },
  download("VIP"),
  download("HTTP proxy"),
  download("CONNECT"),
  download("SOCKS5h"),
  {
    title: "pages of one byte by VIP, a new connection each",
    unit: "/s",
    take: (mesh) => fetchMany(mesh, 300),
  },
];

const rounds = Number(process.argv[2] ?? 5);
const real = realProgram();
const seats: readonly Seats[] = [
  ...(real === undefined ? [] : [{ manager: real, agents: allAgents(real) }]),
  { manager: ours, agents: allAgents(ours) },
];
const meshes = seats.map((each) => new Mesh(each));
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => void stopAll().then(() => process.exit(130)));
}
try {
  for (const mesh of meshes) await start(mesh);
  process.stdout.write(table(await measureAll()));
} finally {
  await stopAll();
}

async function start(mesh: Mesh): Promise<void> {
  await mesh.start();
  const server = mesh.spawn("host1", "iperf3", ["--server", "--forceflush"]);
  let said = "";
  server.stdout.on("data", (chunk: Buffer) => {
    if (said.length < 1_000) said += chunk.toString();
  });
  await waitUntil("iperf3 listens", () => said.includes("listening"));
}

async function stopAll(): Promise<void> {
  for (const mesh of meshes) await mesh.stop();
}

/** For each measure, what each mesh gave, round by round. */
async function measureAll(): Promise<readonly (readonly (readonly number[])[])[]> {
  const all = measures.map(() => meshes.map((): number[] => []));
  for (let round = 0; round < rounds; round += 1) {
    for (const [index, measure] of measures.entries()) {
      // The one that begins changes from round to round.
      const order = meshes.map((_, at) => (at + round) % meshes.length);
      for (const at of order) {
        const value = await measure.take(meshes[at]!);
        all[index]![at]!.push(value);
        process.stderr.write(
          `${round + 1}/${rounds} ${measure.title}, ${meshName(at)}: ${value.toFixed(1)}\n`,
        );
      }
    }
  }
  return all;
}

function table(all: readonly (readonly (readonly number[])[])[]): string {
  const names = meshes.map((_, at) => meshName(at));
  const ratio = meshes.length === 2 ? [" ours / original |", " --: |"] : ["", ""];
  const lines = [
    `| median of ${rounds} (lowest to highest) | ${names.join(" | ")} |${ratio[0]!}`,
    `| --- | ${names.map(() => "--:").join(" | ")} |${ratio[1]!}`,
  ];
  for (const [index, measure] of measures.entries()) {
    const values = all[index]!;
    const cells = values.map((each) => `${cell(each)} ${measure.unit}`);
    const medians = values.map(median);
    const quotient = meshes.length === 2 ? ` ${(medians[1]! / medians[0]!).toFixed(2)} |` : "";
    lines.push(`| ${measure.title} | ${cells.join(" | ")} |${quotient}`);
  }
  return `${lines.join("\n")}\n`;
}

function cell(values: readonly number[]): string {
  return `${median(values).toFixed(1)} (${Math.min(...values).toFixed(1)} to ${Math.max(...values).toFixed(1)})`;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function meshName(at: number): string {
  return seats[at]!.manager.name === "real" ? "original" : "ours";
}

async function rate(mesh: Mesh, flags: readonly string[]): Promise<number> {
  return (await iperf(mesh, seconds, flags)) / 8 / mebibyte;
}

function download(way: Way): Measure {
  const host = way === "VIP" ? members.host1 : "host1";
  return {
    title: `${downloadBytes / mebibyte} MiB down, ${way}`,
    unit: "MiB/s",
    take: async (mesh) => {
      const result = await mesh.run(
        "host2",
        "curl",
        [
          ...["--silent", "--show-error", "--fail", "--max-time", "120", "--output", "/dev/null"],
          ...["--write-out", "%{size_download} %{speed_download}", ...ways[way]],
          `http://${host}:8080/${downloadBytes}`,
        ],
        130_000,
      );
      const [size, speed] = result.stdout.split(" ").map(Number);
      if (result.code !== 0 || size !== downloadBytes)
        throw new Error(`${way}: ${result.stderr}${result.stdout}`);
      return speed! / mebibyte;
    },
  };
}
