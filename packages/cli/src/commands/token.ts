import { InvalidArgumentError, Option, type Command } from "commander";
import { addConfigOption, type OptionValues } from "../flag-options.ts";

/** `culvert token`: makes a token for a Telebit device. */
export function registerToken(program: Command): void {
  const command = program
    .command("token")
    .summary("make a token for a Telebit device")
    .description(
      "Makes a token with which a Telebit device may serve public names and TCP ports of this relay, and prints it. Whoever has the token can be that device, so hand it over as you would a password. Reads telebit.secretFile of the relay's configuration, and makes that file (mode 0600) if it is missing.",
    )
    .argument("[names...]", "public names, such as app.t.example.com; each stands for all below it")
    .addOption(
      new Option(
        "-p, --port <port>",
        "a public TCP port for the device alone; may be repeated",
      ).argParser((text, ports: readonly number[] | undefined) => [
        ...(ports ?? []),
        readPort(text),
      ]),
    )
    .addOption(
      new Option("--expires <time>", "how long it is good: 90d, 12h, 30m, or never")
        .argParser(readLifetime)
        .default(defaultLifetimeMs, "365d"),
    )
    .addHelpText(
      "after",
      `
Example:
  culvert token app.t.example.com --port 20022 --expires 90d --config relay.yaml`,
    );
  addConfigOption(command);
  command.action(async (names: string[], options: OptionValues) => {
    const { makeToken } = await import("../token/make-token.ts");
    await makeToken(
      {
        file: String(options["config"]),
        names,
        ports: (options["port"] as readonly number[] | undefined) ?? [],
        lifetimeMs: Number(options["expires"]),
      },
      process,
    );
  });
}

function readPort(text: string): number {
  const port = /^[0-9]{1,5}$/.test(text) ? Number(text) : 0;
  if (port >= 1 && port <= 65_535) return port;
  throw new InvalidArgumentError("It must be a port from 1 to 65535.");
}

/** Milliseconds. */
function readLifetime(text: string): number {
  if (text === "never") return Infinity;
  const [, count = "", unit = ""] = /^([1-9][0-9]{0,5})([dhm])$/.exec(text) ?? [];
  const unitMs = unitsMs.get(unit);
  if (unitMs !== undefined) return Number(count) * unitMs;
  throw new InvalidArgumentError("It must be a number and d, h or m, such as 90d, or never.");
}

const unitsMs = new Map([
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
]);
const defaultLifetimeMs = 365 * 86_400_000;
