import { age, list, part, size, table, text, type Part } from "./cells.ts";

/**
 * Prints the status of any daemon as tables for people. It asks nothing of the shape but what it prints, so that a newer command can
 * still read an older daemon.
 */
export function formatStatus(status: unknown): string {
  const root = part(status);
  const daemon = part(root["process"]);
  const name = text(root["name"]);
  const lines = [
    `${text(root["role"])}${name === "" ? "" : ` ${name}`}, ${text(daemon["software"])}, process ${text(daemon["pid"])}, up ${age(daemon["uptimeMs"])}${root["draining"] === true ? ", draining" : ""}`,
    `peer id ${text(daemon["peerId"])}`,
    ...list(root["listen"]).map((address) => `listens on ${text(address)}`),
    ...link(root["link"]),
    ...telebit(root["telebit"]),
    ...list(daemon["notReady"]).map((reason) => `cannot serve: ${text(reason)}`),
  ];
  const sections = [
    table("Peers", ["name", "role", "from", "carried by", "services", "rtt", "age"], peers(root)),
    table("Links", ["name", "state", "process", "starts", "command", "last error"], links(root)),
    table(
      "Entrances",
      ["kind", "address", "leads to", "open", "forwarded", "refused", "last refusal"],
      entrances(root),
    ),
    table(
      "Allowed",
      ["target"],
      list(root["allows"]).map((rule) => [text(rule)]),
    ),
    table(
      "Telebit devices",
      ["from", "names", "ports", "open", "up", "down", "age"],
      devices(root),
    ),
    table("Public names and ports", ["what", "server", "tls", "plain http", "open"], sites(root)),
    table(
      `Public connections: ${text(part(root["public"])["connectionCount"])}`,
      ["from", "port", "name", "server", "tls", "requests", "up", "down", "age"],
      visits(root),
    ),
    table("Exposed", ["what", "to", "tls", "state", "public at"], exposes(root)),
    table(
      `Connections: ${list(root["connections"]).length}`,
      ["client", "port", "server", "target", "up", "down", "age"],
      connections(root),
    ),
  ];
  return `${lines.join("\n")}\n${sections.join("")}`;
}

function link(value: unknown): string[] {
  if (value === undefined) return [];
  const { state, session, lastError, leaving } = part(value);
  if (session === undefined) {
    return [`relay: ${text(state)}${lastError === undefined ? "" : ` (${text(lastError)})`}`];
  }
  const { remote, transport, ageMs, rttMs, name } = part(session);
  return [
    `relay: ${text(state)} as ${text(name)} at ${text(remote)} by ${text(transport)} for ${age(ageMs)}, rtt ${age(rttMs)}`,
    ...list(leaving)
      .map(part)
      .map(
        (old) => `relay: left ${text(old["transport"])}, open there: ${text(old["openStreams"])}`,
      ),
  ];
}

function telebit(value: unknown): string[] {
  if (value === undefined) return [];
  const { relay, state, lastError, names, ports } = part(value);
  const granted = [...list(names), ...list(ports).map((port) => `port ${text(port)}`)].map(text);
  const why = lastError === undefined ? "" : ` (${text(lastError)})`;
  const has = granted.length === 0 ? "" : `, has ${granted.join(", ")}`;
  return [`Telebit relay ${text(relay)}: ${text(state)}${has}${why}`];
}

function exposes(root: Part): string[][] {
  return list(root["exposes"]).map((value) => {
    const { expose, to, tls, state, text: why, url } = part(value);
    const where = text(url) === "" ? text(why) : text(url);
    return [text(expose), text(to), text(tls), text(state), where];
  });
}

function devices(root: Part): string[][] {
  return list(root["devices"]).map((value) => {
    const {
      remote,
      names,
      ports,
      connections: open,
      receivedBytes,
      sentBytes,
      ageMs,
    } = part(value);
    return [
      text(remote),
      list(names).map(text).join(", "),
      list(ports).map(text).join(", "),
      text(open),
      size(receivedBytes),
      size(sentBytes),
      age(ageMs),
    ];
  });
}

function sites(root: Part): string[][] {
  const { sites, siteCount } = part(root["public"]);
  const rows = list(sites).map((value) => {
    const { site, servers, tls, http, connections: open } = part(value);
    const who = [...new Set(list(servers).map(text))].join(", ");
    return [text(site), who === "" ? "not attached" : who, text(tls), text(http), text(open)];
  });
  return [...rows.slice(0, mostRows), ...moreRow(siteCount, rows, 5)];
}

function visits(root: Part): string[][] {
  const { connections } = part(root["public"]);
  const rows = list(connections).map((value) => {
    const { remote, port, name, server, tls, requests, bytesUp, bytesDown, ageMs } = part(value);
    return [
      ...[remote, port, name, server, tls, requests].map(text),
      ...[size(bytesUp), size(bytesDown), age(ageMs)],
    ];
  });
  // The newest, which somebody who looks is waiting for.
  return [...rows.slice(-mostRows), ...moreRow(rows.length, rows, 9)];
}

/** Says how many rows a long table leaves out. */
function moreRow(count: unknown, rows: readonly unknown[], columns: number): string[][] {
  const all = typeof count === "number" ? count : rows.length;
  const left = all - Math.min(rows.length, mostRows);
  return left <= 0 ? [] : [[`and ${left} more`, ...Array<string>(columns - 1).fill("")]];
}

function peers(root: Part): string[][] {
  return list(root["peers"]).flatMap((value) => {
    const peer = part(value);
    const sessions = list(peer["sessions"]).map(part);
    const head = [text(peer["name"]), text(peer["role"])];
    if (sessions.length === 0) return [[...head, "not attached", "", "", "", ""]];
    return sessions.map((session) => [
      ...head,
      text(session["remote"]),
      text(session["transport"]) +
        (session["transient"] === true ? ", one-shot" : "") +
        (session["leaving"] === true ? ", leaving" : ""),
      list(session["services"]).map(text).join(", "),
      age(session["rttMs"]),
      age(session["ageMs"]),
    ]);
  });
}

function links(root: Part): string[][] {
  return list(root["links"]).map((value) => {
    const { name, state, pid, starts, command, lastError } = part(value);
    const words = list(command).map(text).join(" ");
    const shown = words.length <= mostCharacters ? words : `${words.slice(0, mostCharacters)}…`;
    return [text(name), text(state), text(pid), text(starts), shown, text(lastError)];
  });
}

function entrances(root: Part): string[][] {
  return list(root["entrances"]).map((value) => {
    const entrance = part(value);
    return [
      text(entrance["kind"]),
      list(entrance["addresses"]).map(text).join(", "),
      text(entrance["destination"]) || "as asked",
      text(entrance["open"]),
      text(entrance["forwarded"]),
      text(entrance["refused"]),
      lastRefusal(part(entrance["lastRefusal"])),
    ];
  });
}

function lastRefusal({ atMs, text: reason }: Part): string {
  if (typeof atMs !== "number") return "";
  return `${new Date(atMs).toISOString().slice(0, 19)}Z ${text(reason)}`;
}

/** Of the four identifiers a client or server knows three; its own name fills in for itself. */
function connections(root: Part): string[][] {
  const own = text(root["name"]);
  const role = root["role"];
  return list(root["connections"]).map((value) => {
    const connection = part(value);
    return [
      text(connection["client"]) || (role === "client" ? own : ""),
      text(connection["clientPort"]),
      text(connection["server"]) || (role === "server" ? own : ""),
      text(connection["target"]),
      size(connection["bytesUp"]),
      size(connection["bytesDown"]),
      age(connection["ageMs"]),
    ];
  });
}

/** Of a command; the whole of it stands in the configuration. */
const mostCharacters = 60;

/** Of public names and connections, which may be thousands; all of them are in the JSON. */
const mostRows = 50;
