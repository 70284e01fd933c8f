import type { KeyObject } from "node:crypto";
import { existsSync } from "node:fs";
import { loadRelayConfig } from "@culvert/config";
import { createSecretFile, loadSecretFile, mintToken, readScope } from "@culvert/relay/telebit";
import { ConfigError, systemClock, systemRandom } from "@culvert/runtime";
import type { CommandIo } from "../check-config.ts";

/** What the token is to be good for. */
export interface TokenWish {
  /** The relay's configuration file. */
  readonly file: string;
  readonly names: readonly string[];
  readonly ports: readonly number[];
  /** How long it is good, milliseconds; Infinity = for ever. */
  readonly lifetimeMs: number;
}

/**
 * Makes a token that the relay with this configuration will take, and prints it alone on standard output.
 * @throws ConfigError where the relay would not take it, or its secret cannot be read or made.
 */
export async function makeToken(wish: TokenWish, io: CommandIo): Promise<void> {
  const config = loadRelayConfig({ file: wish.file, env: io.env });
  const { telebit } = config;
  if (telebit === undefined) {
    throw new ConfigError(
      "bad_config",
      `${config.file} has no telebit.secretFile, so this relay takes no tokens`,
    );
  }
  const { domains, ports } = telebit;
  const verdict = readScope({ domains: wish.names, ports: wish.ports }, { domains, ports });
  if (verdict.kind === "refused") {
    throw new ConfigError(
      "bad_usage",
      `the relay would refuse such a token: ${verdict.fault.message}; telebit.domains and telebit.ports of ${config.file} say what may be in one`,
    );
  }
  const secret = await loadOrCreate(telebit.secretFile, io);
  const nowMs = systemClock.wallNowMs();
  const expiresAtMs = wish.lifetimeMs === Infinity ? undefined : nowMs + wish.lifetimeMs;
  const [name] = config.web.names;
  const token = await mintToken(secret, {
    scope: verdict.scope,
    nowMs,
    expiresAtMs,
    audience: name === undefined ? undefined : `https://${name}/`,
  });
  const until = expiresAtMs === undefined ? "for ever" : `until ${formatTime(expiresAtMs)}`;
  const what = [...verdict.scope.domains, ...verdict.scope.ports].join(", ");
  io.stderr.write(`a token for ${what}, good ${until}\n`);
  io.stdout.write(`${token}\n`);
}

async function loadOrCreate(path: string, io: CommandIo): Promise<KeyObject> {
  if (existsSync(path)) return loadSecretFile(path);
  const secret = await createSecretFile(path, systemRandom);
  io.stderr.write(`made ${path}; a relay that runs already has to be started again\n`);
  return secret;
}

function formatTime(ms: number): string {
  return new Date(ms).toISOString();
}
