import { checkRelayAddress } from "./dialing-schema.ts";
import type { ExposeTarget } from "./expose-kinds.ts";
import type { SoundValues } from "./load.ts";
import type { Place } from "./place.ts";
import type { Problems } from "./problems.ts";
import { peerIdKind } from "./scalar-kinds.ts";
import type { serverSchema } from "./server-schema.ts";

/** Notes what does not fit together in the configuration of a server, besides its session settings. */
export function checkServer(
  values: SoundValues<ReturnType<typeof serverSchema>>,
  root: Place,
  problems: Problems,
): void {
  checkRelays(values, root, problems);
  const { services, expose = [], telebit } = values;
  if (services === undefined || problems.touch("expose")) return;
  const checkService = (to: ExposeTarget | undefined, place: Place): void => {
    if (to?.kind === "service" && !services.has(to.name)) {
      place.note(`no service is named ${to.name}`);
    }
  };
  const seen = new Map<string | number, number>();
  for (const [index, { name, port, to, ssh }] of expose.entries()) {
    const place = root.key("expose").entry(index);
    const what = name ?? port ?? "";
    const first = seen.get(what);
    if (first === undefined) seen.set(what, index);
    else place.note(`${what} is exposed by expose[${first}] too`);
    checkService(to, place.key("to"));
    checkService(ssh, place.key("ssh"));
  }
  checkService(telebit.ssh, root.key("telebit").key("ssh"));
}

/** A relay of ours needs an address and an id, a Telebit relay an address and a token. */
function checkRelays(
  { transports, relay, telebit }: SoundValues<ReturnType<typeof serverSchema>>,
  root: Place,
  problems: Problems,
): void {
  if (transports === undefined) return;
  const need = (section: string, key: string, value: unknown, expected: string): void => {
    const isTold = problems.list.some(
      ({ path }) => path === section || path === `${section}.${key}`,
    );
    if (value !== undefined || isTold) return;
    root.key(section).key(key).note(`is required: ${expected}`);
  };
  if (transports.some((name) => name !== "telebit")) {
    checkRelayAddress(transports, relay.address, root, problems);
    need("relay", "id", relay.id, peerIdKind.expected);
  } else if (relay.address !== undefined || relay.id !== undefined) {
    root
      .key("transports")
      .note("expected quic or wss, since relay names a relay of ours, found telebit alone");
  }
  if (transports.includes("telebit")) {
    need("telebit", "relay", telebit.relay, "the Telebit relay, since transports has telebit");
    need("telebit", "tokenFile", telebit.tokenFile, "a path, since transports has telebit");
  } else if (telebit.relay !== undefined) {
    root.key("transports").note("expected telebit, since telebit.relay names a relay, found none");
  }
}
