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
    const scope = new Scope();
    const signals = new StopSignals(process, () => undefined);
    try {
      const work = demonstrate(scope, options.once, signals.first);
      // A signal during the work ends it by taking its processes away; what the work says to that is no news.
      work.catch(() => undefined);
      return await Promise.race([work, signals.first.then(() => ExitCode.Failure)]);
    } finally {
      await scope.close();
      signals.release();
    }
  });
}

async function demonstrate(scope: Scope, once: boolean, stop: Promise<unknown>): Promise<ExitCode> {
  const clock = systemClock;
  const folder = await mkdtemp(join(tmpdir(), "culvert-demo-"));
  scope.add(() => rm(folder, { recursive: true, force: true }));
  const children: CulvertChild[] = [];
  const start = async (what: string, ...args: string[]): Promise<string> => {
    const child = new CulvertChild(clock, args);
    scope.add(() => child.stop());
    children.push(child);
    const line = await child.ready();
    tell(what, line.slice(line.lastIndexOf(" ") + 1));
    return line;
  };
  const file = (name: string): string => join(folder, name);

  const endServer = addressIn(
    await start("TCP end server (it sends back what it gets)", "demo-end-server"),
  );
  await initTrial(folder, {
    relayPort: 30_380,
    listenPort: 0,
    targetPort: endServer.port,
    serverName: "lan-box",
    clientName: "laptop",
  });
  tell("configurations and keys", folder);
  const common = ["--drain", "1s", "--admin", "off"];
  const relay = addressIn(
    await start(
      "relay",
      "relay",
      "--config",
      file("relay.yaml"),
      "--listen",
      "127.0.0.1:0",
      ...common,
    ),
  );
  const dial = ["--relay-address", `${relay.host}:${relay.port}`, ...common];
  await start(
    "server proxy, attached to the relay as",
    "server",
    "--config",
    file("server.yaml"),
    ...dial,
  );
  const client = addressIn(
    await start("client proxy, listening at", "client", "--config", file("client.yaml"), ...dial),
  );

  const result = await roundTrip({ clock, random: systemRandom }, client, demoBytes);
  const perSecond = formatByteSize(result.bytes / result.seconds);
  tell(
    "through all three hops and back",
    `${formatByteSize(result.bytes)} each way in ${result.seconds.toFixed(2)} s, ${perSecond}/s`,
  );
  tell("SHA-256 of what was sent and of what came back", `${result.sha256.slice(0, 16)}…, equal`);
  if (once) return ExitCode.Ok;

  process.stdout.write(`
Join in from another terminal; what you type comes back through all three hops:
  ${pc.bold(`nc ${client.host} ${client.port}`)}
and see the connection on its way:
  ${pc.bold(`culvert status --config ${file("relay.yaml")}`)}
Ctrl-C ends everything and removes ${folder}.
`);
  const died = children.map((child) => child.ended.then(() => child));
  const end = await Promise.race([stop, ...died]);
  if (end instanceof CulvertChild) throw new TransportError("connection_closed", end.describeEnd());
  return ExitCode.Ok;
}

function tell(what: string, value: string): void {
  process.stdout.write(`${pc.green("✔")} ${what}: ${pc.bold(value)}\n`);
}

function addressIn(readyLine: string): { readonly host: string; readonly port: number } {
  const address = parseHostPort(readyLine.slice(readyLine.lastIndexOf(" ") + 1));
  if (address !== undefined) return address;
  throw new TransportError("refused", `no address in the line: ready ${readyLine}`);
}

const demoBytes = 16 * 1024 * 1024;
