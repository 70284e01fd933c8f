import type { HostPort } from "./address-kinds.ts";
import { checkListeners } from "./cross-checks.ts";
import type { SoundValues } from "./load.ts";
import type { Place } from "./place.ts";
import type { Problems } from "./problems.ts";
import type { relaySchema } from "./relay-schema.ts";

type Sound = SoundValues<ReturnType<typeof relaySchema>>;

/** Notes addresses that the relay would listen at twice, and a relay that nobody could dial. */
export function checkRelayListeners(sound: Sound, root: Place, problems: Problems): void {
  const { listen = [], web, admin } = sound;
  if (!problems.touch("listen")) {
    checkListeners(entries(listen, root.key("listen")));
    const byWebSocket = [...(web.https ?? []), ...(web.plain ?? [])];
    const links = sound.links ?? [];
    const hasNone = listen.length === 0 && byWebSocket.length === 0 && links.length === 0;
    if (hasNone && !problems.touch("web") && !problems.touch("links")) {
      root.key("listen").note("expected at least one address, here or in web.https, found none");
    }
  }
  // Where an entry is unsound the others have moved, and what is said of them would mislead.
  const tcp = (["https", "http", "plain"] as const)
    .filter((key) => !problems.touch(`web.${key}`))
    .flatMap((key) => entries(web[key] ?? [], root.key("web").key(key)));
  const ports = problems.touch("public.ports") ? [] : (sound.public.ports ?? []);
  checkListeners([
    ...tcp,
    ...ports.map(({ listen: address }, index) => ({
      address,
      place: root.key("public").key("ports").entry(index).key("listen"),
    })),
    { address: admin.listen, place: root.key("admin").key("listen") },
  ]);
}

/** Notes what is public through nobody, or by nothing. */
export function checkPublic(sound: Sound, root: Place, problems: Problems): void {
  const roles = new Map((sound.peers ?? []).map(({ name, role }) => [name, role]));
  const place = root.key("public");
  const checkServer = (server: string, at: Place): void => {
    const role = roles.get(server);
    if (role === undefined) at.note(`no peer is named ${server}`);
    else if (role !== "server") at.note(`${server} is a ${role}, not a server`);
  };
  if (!problems.touch("public.names")) {
    const names = sound.public.names ?? [];
    checkNames(names, sound.web.names ?? [], place.key("names"));
    for (const [index, { server }] of names.entries()) {
      checkServer(server, place.key("names").entry(index).key("server"));
    }
    const listeners = [...(sound.web.https ?? []), ...(sound.web.http ?? [])];
    if (names.length > 0 && listeners.length === 0 && !problems.touch("web")) {
      place.key("names").note("nothing listens for them; set web.https or web.http");
    }
  }
  if (!problems.touch("public.ports")) {
    for (const [index, { server }] of (sound.public.ports ?? []).entries()) {
      checkServer(server, place.key("ports").entry(index).key("server"));
    }
  }
  const { secretFile } = sound.telebit;
  const entrances = [...(sound.web.https ?? []), ...(sound.web.plain ?? [])];
  if (secretFile !== undefined && entrances.length === 0 && !problems.touch("web")) {
    root
      .key("telebit")
      .key("secretFile")
      .note("no device could attach; set web.https or web.plain");
  }
}

/** Notes ACME without what it needs. */
export function checkAcme({ web }: Sound, root: Place, problems: Problems): void {
  const place = root.key("web").key("acme");
  const { agreeTos, email } = web.acme;
  if (agreeTos === false && email !== undefined) {
    place
      .key("agreeTos")
      .note("expected true, since web.acme.email is given: read the terms of web.acme.directory");
  }
  if (agreeTos !== true || problems.touch("web")) return;
  if (web.https?.length === 0) {
    place.note("expected an address in web.https that shows the certificates, found none");
  }
  if (web.http?.length === 0) {
    place.note("expected an address in web.http, where the ACME server asks (port 80), found none");
  }
}

/** Several servers may have one name, in turn, but they must agree about it; and the relay's own names are its own. */
function checkNames(
  entries: readonly {
    readonly server: string;
    readonly names: readonly string[];
    readonly tls: string;
    readonly http: string;
  }[],
  own: readonly string[],
  place: Place,
): void {
  const seen = new Map<
    string,
    { servers: Set<string>; tls: string; http: string; index: number }
  >();
  for (const [index, { server, names, tls, http }] of entries.entries()) {
    for (const [position, name] of names.entries()) {
      const at = place.entry(index).key("names").entry(position);
      if (own.includes(name)) at.note(`${name} is one of the relay's own names (web.names)`);
      const first = seen.get(name);
      if (first === undefined) {
        seen.set(name, { servers: new Set([server]), tls, http, index });
      } else if (first.servers.has(server)) {
        at.note(`${name} leads to ${server} already`);
      } else {
        first.servers.add(server);
        if (first.tls !== tls || first.http !== http) {
          at.note(`${name} has another tls or http in public.names[${first.index}]`);
        }
      }
    }
  }
}

function entries(
  addresses: readonly HostPort[],
  place: Place,
): { readonly address: HostPort; readonly place: Place }[] {
  return addresses.map((address, index) => ({ address, place: place.entry(index) }));
}
