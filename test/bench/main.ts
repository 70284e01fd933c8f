import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runBench } from "./bench.ts";
import { drawResults } from "./draw-results.ts";
import { loads } from "./loads/index.ts";
import { matches, parseArguments, sizesOf, type Arguments } from "./options.ts";
import { culvertPeer } from "./peers/culvert.ts";
import { peers } from "./peers/index.ts";
import { loopbackPlace, vethPlace, type Place } from "./place.ts";
import { reportTables } from "./report-table.ts";
import { writeResult } from "./results.ts";

const folder = fileURLToPath(new URL("results/", import.meta.url));

// Every child is killed by its own id and every namespace removed when the process exits, so it must exit rather than be ended.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.once(signal, () => process.exit(130));
}

const args = parseArguments(process.argv);
const place = args.path === "veth" ? await vethPlace(args.loss) : loopbackPlace();
try {
  await measure(args, place);
} finally {
  place.close();
}

async function measure(args: Arguments, place: Place): Promise<void> {
  const ours = culvertPeer({ engine: args.engine, datagramBytes: args.datagramBytes });
  const results = await runBench({
    place,
    peers: [ours, ...(args.peers ? peers : [])],
    loads: loads.filter(({ name }) => args.only?.some((each) => matches(name, each)) ?? true),
    sizes: sizesOf(args),
    programs: args.peer,
    endSignal: "SIGKILL",
    progress: (line) => {
      if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${line}`);
    },
    options: { ...args, rounds: sizesOf(args).rounds, peer: Object.fromEntries(args.peer) },
  });
  if (process.stderr.isTTY) process.stderr.write("\r\u001b[K");
  const json = `${JSON.stringify(results, undefined, 2)}\n`;
  await writeResult(folder, "latest.json", json);
  const tables = reportTables(results);
  await writeResult(folder, "latest.md", tables);
  const charts = await drawResults(results, folder);
  process.stdout.write(args.json ? json : tables);
  process.stderr.write(`\nlatest.json, latest.md and ${charts.length} charts in ${join(folder)}\n`);
}
