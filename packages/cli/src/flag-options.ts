import type { Flag } from "@culvert/config";
import { InvalidArgumentError, Option, type Command } from "commander";

/** A command-line option that sets one key of the configuration. */
export interface FlagOption {
  /** As commander reads it: `--log-level <level>`. */
  readonly flags: string;
  /** The key that it sets: `log.level`. */
  readonly path: string;
  readonly doc: string;
  /** Whether it may be given several times, making a list. */
  readonly repeats?: boolean;
  /** Whether its values are added to those of the file. */
  readonly adds?: boolean;
}

/** What commander makes of the options of a command. */
export type OptionValues = Readonly<Record<string, unknown>>;

/** The options of all three daemons. */
export const commonFlags: readonly FlagOption[] = [
  {
    flags: "--log-level <level>",
    path: "log.level",
    doc: "the least grave events to write: debug, info, warn, error or silent",
  },
  {
    flags: "--log-format <format>",
    path: "log.format",
    doc: "pretty, json, or auto (pretty on a terminal)",
  },
  {
    flags: "--engine <engine>",
    path: "quic.engine",
    doc: "QUIC engine: auto, quiche or quinn",
  },
  {
    flags: "--drain <duration>",
    path: "drain",
    doc: "how long connections may go on after SIGTERM or Ctrl-C, such as 30s",
  },
  {
    flags: "--admin <address>",
    path: "admin.listen",
    doc: "TCP address of /metrics, /healthz and /readyz, or off",
  },
  {
    flags: "--control <path>",
    path: "control.socket",
    doc: "Unix socket where culvert status asks",
  },
];

/** The options of the relay alone. */
export const relayFlags: readonly FlagOption[] = [
  {
    flags: "--listen <address>",
    path: "listen",
    doc: "UDP address to listen at, such as 0.0.0.0:30380; may be repeated",
    repeats: true,
  },
];

/** The options of the two daemons that dial a relay. */
export const dialingFlags: readonly FlagOption[] = [
  {
    flags: "--relay-address <address>",
    path: "relay.address",
    doc: "where the relay is: host:port",
  },
  {
    flags: "--relay-wss <address>",
    path: "relay.wss",
    doc: "where the relay takes sessions by WebSocket: host:port",
  },
  {
    flags: "--transports <names>",
    path: "transports",
    doc: "what may carry the session, the preferred one first: quic, wss or 'quic wss'",
  },
];

/** The options of the client alone. */
export const clientFlags: readonly FlagOption[] = [
  {
    flags: "--forward <listen=server:target>",
    path: "forwards",
    doc: "one more local listener, such as 127.0.0.1:2222=lan-box:ssh; may be repeated",
    repeats: true,
    adds: true,
  },
  {
    flags: "--socks <address>",
    path: "socks.listen",
    doc: "local TCP address of a SOCKS5 proxy, or off",
  },
  {
    flags: "--http-proxy <address>",
    path: "httpProxy.listen",
    doc: "local TCP address of an HTTP CONNECT proxy, or off",
  },
];

/** Adds `--config`, which may come from the environment too. */
export function addConfigOption(command: Command): Command {
  return command.addOption(
    new Option("-c, --config <file>", "the configuration, YAML or JSON")
      .env("CULVERT_CONFIG")
      .makeOptionMandatory()
      .argParser((value) => {
        if (value === "") throw new InvalidArgumentError("It is empty.");
        return value;
      }),
  );
}

/** Adds the options to a command. */
export function addFlags(command: Command, flags: readonly FlagOption[]): Command {
  for (const { flags: text, doc, repeats } of flags) {
    const option = new Option(text, doc);
    if (repeats === true) {
      option.argParser((value, before: readonly string[] | undefined) => [
        ...(before ?? []),
        value,
      ]);
    }
    command.addOption(option);
  }
  return command;
}

/** The options that were given, as the configuration takes them. */
export function flagsGiven(flags: readonly FlagOption[], options: OptionValues): readonly Flag[] {
  return flags.flatMap(({ flags: text, path, adds }) => {
    const option = new Option(text);
    const value = options[option.attributeName()];
    if (value === undefined) return [];
    const name = option.long ?? text;
    return [{ path, name, value: value as string | readonly string[], ...(adds ? { adds } : {}) }];
  });
}
