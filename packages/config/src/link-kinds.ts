import type { PeerId } from "@culvert/identity";
import { errorText } from "@culvert/runtime";
import { split } from "shlex";
import { entryOf } from "./collection-kinds.ts";
import { nameKind } from "./forward-kinds.ts";
import type { Kind } from "./kind.ts";
import type { Place } from "./place.ts";
import { peerIdKind } from "./scalar-kinds.ts";

/** A program and its arguments; no shell reads them. */
export type Command = readonly [string, ...string[]];

/** A peer that cannot dial: a command whose standard input and output lead to `culvert agent --stdio` there. */
export interface LinkConfig {
  /** The peer's name among the relay's peers. */
  readonly name: string;
  readonly command: Command;
}

/** A link of a client, which has no list of peers: with the peer's id. */
export interface ClientLinkConfig extends LinkConfig {
  readonly id: PeerId;
}

/** A command as one text with a shell's quotes, or as a list of words. */
export const commandKind: Kind<Command> = {
  expected:
    'a command such as "ssh user@box culvert agent --stdio --config FILE", or its words as a list',
  parse(raw, place) {
    const words = typeof raw === "string" ? wordsOf(raw, place) : raw;
    if (!isCommand(words)) return place.fail(commandKind.expected, raw);
    return Object.freeze(words);
  },
  print: (words) => [...words],
};

/** An entry of `links`. */
export const linkKind: Kind<LinkConfig> = entryOf<LinkConfig>({
  name: nameKind,
  command: commandKind,
});

/** An entry of a client's `links`. */
export const clientLinkKind: Kind<ClientLinkConfig> = entryOf<ClientLinkConfig>({
  name: nameKind,
  id: peerIdKind,
  command: commandKind,
});

function wordsOf(text: string, place: Place): unknown {
  if (text.length > mostCharacters) {
    return place.reject(`expected a command of at most ${mostCharacters} characters`);
  }
  try {
    return split(text);
  } catch (error) {
    return place.reject(`expected ${commandKind.expected}: ${errorText(error)}`);
  }
}

function isCommand(words: unknown): words is Command {
  if (!Array.isArray(words) || words.length > mostWords) return false;
  const [program] = words as unknown[];
  if (typeof program !== "string" || program === "") return false;
  return words.every((word) => typeof word === "string" && !word.includes("\0"));
}

const mostCharacters = 16_384;
const mostWords = 1_000;
