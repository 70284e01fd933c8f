import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseHostPort } from "@culvert/config";
import { formatByteSize, Scope, systemClock, systemRandom, TransportError } from "@culvert/runtime";
import pc from "picocolors";
import { StopSignals } from "../daemon/stop-signals.ts";
import { endProcessAfter } from "../end-process.ts";
import { ExitCode } from "../exit-code.ts";
import { initTrial } from "../trial/init-trial.ts";
import { CulvertChild } from "./child-process.ts";
import { roundTrip } from "./round-trip.ts";

/** Runs the demonstration and ends the process; children and folder are gone by then, whatever happened. */
export async function runDemo(options: { readonly once: boolean }): Promise<void> {
  await endProcessAfter(async () => {
    const signals = new StopSignals(process, ignore);
    const folder = await mkdtemp(join(tmpdir(), "culvert-demo-"));
    const processes = new Scope();
    const work = demonstrate(processes, folder, options.once);
    // A signal during the work ends it by taking its processes away; what the work says to that is no news.
    const settled = work.then(ignore, ignore);
    const interrupted = signals.first.then((signal) => {
      throw new TransportError("aborted", `interrupted by ${signal}`);
    });
    interrupted.catch(ignore);
    try {
      const children = await Promise.race([work, interrupted]);
      if (!options.once) await stayUp(children, signals.first);
      return ExitCode.Ok;
    } finally {
      await processes.close();
      await settled;
      await rm(folder, { recursive: true, force: true });
      signals.release();
    }
  });
}

/** Waits for the signal that ends the demonstration, which is no failure then; the end of a process is one. */
async function stayUp(children: readonly CulvertChild[], stop: Promise<unknown>): Promise<void> {
  const died = children.map((child) => child.ended.then(() => child));
  const end = await Promise.race([stop, ...died]);
  if (end instanceof CulvertChild) throw new TransportError("connection_closed", end.describeEnd());
}

/** Starts everything, sends data through, and returns what is running. */
async function demonstrate(
  processes: Scope,
  folder: string,
  once: boolean,
): Promise<readonly CulvertChild[]> {
  const clock = systemClock;
  const children: CulvertChild[] = [];
  const start = async (what: string, args: readonly string[]): Promise<string> => {
    const child = new CulvertChild(clock, args);
    processes.add(() => child.stop());
    children.push(child);
    const line = await child.ready();
    tell(what, line.slice(line.lastIndexOf(" ") + 1));
    return line;
  };
  const withConfig = (role: string, ...more: string[]): string[] => {
    const quiet = ["--drain", "1s", "--admin", "off", "--log-level", "warn"];
    return [role, "--config", join(folder, `${role}.yaml`), ...quiet, ...more];
  };

  const what = "TCP end server (it sends back what it gets)";
  const endServer = addressIn(await start(what, ["demo-end-server"]));
  await initTrial(folder, {
    relayPort: 30_380,
    listenPort: 0,
    targetPort: endServer.port,
    serverName: "lan-box",
    clientName: "laptop",
    transports: ["quic"],
  });
  tell("configurations and keys", folder);
  const relay = addressIn(await start("relay", withConfig("relay", "--listen", "127.0.0.1:0")));
  const dial = ["--relay-address", `${relay.host}:${relay.port}`];
  await start("server proxy, attached to the relay as", withConfig("server", ...dial));
  const client = addressIn(
    await start("client proxy, listening at", withConfig("client", ...dial)),
  );

  const result = await roundTrip({ clock, random: systemRandom }, client, demoBytes);
  const perSecond = formatByteSize(result.bytes / result.seconds);
  tell(
    "through all three hops and back",
    `${formatByteSize(result.bytes)} each way in ${result.seconds.toFixed(2)} s, ${perSecond}/s`,
  );
  tell("SHA-256 of what was sent and of what came back", `${result.sha256.slice(0, 16)}…, equal`);
  if (!once) {
    process.stdout.write(`
Join in from another terminal; what you type comes back through all three hops:
  ${pc.bold(`nc ${client.host} ${client.port}`)}
and see the connection on its way:
  ${pc.bold(`culvert status --config ${join(folder, "relay.yaml")}`)}
Ctrl-C ends everything and removes ${folder}.
`);
  }
  return children;
}

function tell(what: string, value: string): void {
  process.stdout.write(`${pc.green("✔")} ${what}: ${pc.bold(value)}\n`);
}

function addressIn(readyLine: string): { readonly host: string; readonly port: number } {
  const address = parseHostPort(readyLine.slice(readyLine.lastIndexOf(" ") + 1));
  if (address !== undefined) return address;
  throw new TransportError("refused", `no address in the line: ready ${readyLine}`);
}

function ignore(): void {
  // What matters of it is heard elsewhere.
}

const demoBytes = 16 * 1024 * 1024;
