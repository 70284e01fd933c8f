import { fileURLToPath } from "node:url";
import { runBench, type BenchPlan } from "./bench.ts";
import { measureForDocument } from "./document/document.ts";
import { drawResults } from "./draw-results.ts";
import { runGrowth } from "./growth/growth.ts";
import { drawGrowth, growthTables } from "./growth/report-growth.ts";
import { loads } from "./loads/index.ts";
import { netstackTable, runNetstackBench } from "./netstack/netstack.ts";
import { culvertScript, matches, parseArguments, sizesOf, type Arguments } from "./options.ts";
import { culvertPeer, type CulvertOptions } from "./peers/culvert.ts";
import { peers, sshPeer } from "./peers/index.ts";
import type { Peer } from "./peers/peer.ts";
import { loopbackPlace, vethPlace, type Place } from "./place.ts";
import { runProfiles } from "./profile.ts";
import { controlName, otherName, reportTables } from "./report-table.ts";
import { writeResult } from "./results.ts";
import { softwareVersions, summaryOf } from "./summary.ts";

const folder = fileURLToPath(new URL("results/", import.meta.url));

// Every child is killed by its own id and every namespace removed when the process exits, so it must exit rather than be ended.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.once(signal, () => process.exit(130));
}

const args = parseArguments(process.argv);
const place = args.path === "veth" ? await vethPlace(args.loss) : loopbackPlace();
try {
  const report = await choose(args)(planOf(args, place), args);
  showProgress("");
  process.stdout.write(report);
  process.stderr.write(`\nEverything is in ${folder}\n`);
} finally {
  place.close();
}

type Mode = (plan: BenchPlan, args: Arguments) => Promise<string>;

function choose({ growth, profile, document, netstack }: Arguments): Mode {
  if (netstack) return measureNetstack;
  if (document !== undefined) return (plan, args) => fillDocument(plan, args, document);
  if (growth) return measureGrowth;
  return profile ? profileOurs : compare;
}

async function compare(plan: BenchPlan, { json }: Arguments): Promise<string> {
  const results = await runBench(plan);
  const tables = reportTables(results);
  const whole = { ...results, software: await softwareVersions(), summary: summaryOf(results) };
  const text = `${JSON.stringify(whole, undefined, 2)}\n`;
  await writeResult(folder, "latest.json", text);
  await writeResult(folder, "latest.md", tables);
  await drawResults(results, folder);
  return json ? text : tables;
}

async function measureGrowth(plan: BenchPlan, args: Arguments): Promise<string> {
  const growth = await runGrowth(plan, oursOptions(args));
  const tables = growthTables(growth);
  const text = `${JSON.stringify(growth, undefined, 2)}\n`;
  await writeResult(folder, "growth.json", text);
  await writeResult(folder, "growth.md", tables);
  await drawGrowth(growth, folder);
  return args.json ? text : tables;
}

/** Everything that could not be measured is said at the end, and by the exit code. */
async function fillDocument(plan: BenchPlan, args: Arguments, file: string): Promise<string> {
  const { text, problems } = await measureForDocument(plan, {
    ...{ wanted: args.part, file, folder },
    say: (line) => {
      showProgress("");
      process.stderr.write(`${line}\n`);
    },
  });
  if (problems.length === 0) return text;
  process.exitCode = 1;
  return `${text}\nNot everything was measured:\n${problems.map((each) => `- ${each}\n`).join("")}`;
}

async function measureNetstack({ sizes, progress }: BenchPlan, args: Arguments): Promise<string> {
  const results = await runNetstackBench(sizes.rounds, progress);
  const tables = netstackTable(results);
  const text = `${JSON.stringify(results, undefined, 2)}\n`;
  await writeResult(folder, "netstack.json", text);
  await writeResult(folder, "netstack.md", tables);
  return args.json ? text : tables;
}

async function profileOurs(plan: BenchPlan, args: Arguments): Promise<string> {
  const text = await runProfiles(plan, oursOptions(args), `${folder}profiles`);
  await writeResult(folder, "profiles.md", text);
  return text;
}

function planOf(args: Arguments, place: Place): BenchPlan {
  const sizes = sizesOf(args);
  const ours = culvertPeer(oursOptions(args));
  const control = { ...ours, name: controlName, title: `${ours.title} again` };
  return {
    place,
    peers: [
      ours,
      ...(args.control ? [control] : []),
      ...(args.against === undefined ? [] : [otherCheckout(ours, args, args.against)]),
      ...(args.peers ? (args.quick ? [sshPeer] : peers) : []),
    ],
    loads: loads.filter(({ name }) => args.only?.some((each) => matches(name, each)) ?? true),
    sizes,
    programs: args.peer,
    endSignal: "SIGKILL",
    progress: showProgress,
    options: { ...args, peer: Object.fromEntries(args.peer) },
  };
}

function otherCheckout(ours: Peer, args: Arguments, folder: string): Peer {
  const script = culvertScript(folder);
  const other = culvertPeer({ ...oursOptions(args), script });
  return { ...other, name: otherName, title: `${ours.title} of the other checkout` };
}

function oursOptions({ engine, datagramBytes, transport }: Arguments): CulvertOptions {
  return { engine, datagramBytes, transport };
}

/** One line that changes on a terminal; a line each, with the seconds since the start, elsewhere. */
function showProgress(line: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${line}`);
  else if (line !== "") process.stderr.write(`${process.uptime().toFixed(0)} s: ${line}\n`);
}
