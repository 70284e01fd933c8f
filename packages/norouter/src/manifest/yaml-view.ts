import {
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  type Document,
  type LineCounter,
  type Node,
  type Pair,
  type YAMLMap,
} from "yaml";
import type { ManifestProblem } from "./manifest-problem.ts";

/** Where what is wrong with a file is gathered, so that all of it can be told at once. */
export interface YamlFindings {
  readonly document: Document;
  readonly lines: LineCounter;
  readonly problems: ManifestProblem[];
  readonly warnings: ManifestProblem[];
}

/** The members of a map of known keys. A member that is absent is a null at the map's own line. */
export interface YamlRecord {
  has(key: string): boolean;
  at(key: string): YamlView;
}

/**
 * A place in a YAML file that knows its line. What is not of the kind that was asked for becomes a problem, and the answer then is
 * undefined, as it is for null: whoever asks goes on with what is right.
 */
export class YamlView {
  readonly path: string;
  readonly #findings: YamlFindings;
  readonly #node: Node | undefined;
  readonly #line: number | undefined;

  /** `line` is that of what is at fault where it is not the first of `node`: of a key, or of the map that lacks it. */
  constructor(findings: YamlFindings, node: unknown, path: string, line?: number) {
    this.path = path;
    this.#findings = findings;
    this.#node = resolve(findings, node);
    this.#line = line ?? lineOf(findings, node);
    if (isAlias(node) && this.#node === undefined)
      this.problem(`*${node.source} stands for nothing`);
  }

  /** Whether there is nothing, or null. */
  get isNull(): boolean {
    return this.#node === undefined || (isScalar(this.#node) && this.#node.value === null);
  }

  /** Whether it is a list. */
  get isList(): boolean {
    return isSeq(this.#node);
  }

  /** Whether it is a map. */
  get isMap(): boolean {
    return isMap(this.#node);
  }

  /** Whether it is a map, which it has to be. */
  requireMap(): boolean {
    if (!this.isMap) this.problem(`must be a map, not ${this.#kind()}`);
    return this.isMap;
  }

  /** Notes that this is wrong. */
  problem(text: string): void {
    this.#findings.problems.push({ line: this.#line, text: this.#say(text) });
  }

  /** Notes that this is strange. */
  warn(text: string): void {
    this.#findings.warnings.push({ line: this.#line, text: this.#say(text) });
  }

  /** Its members by name; merge keys (`<<`) are resolved. */
  members(): Map<string, YamlView> | undefined {
    if (this.isNull) return undefined;
    if (!isMap(this.#node)) {
      this.problem(`must be a map, not ${this.#kind()}`);
      return undefined;
    }
    const members = new Map<string, YamlView>();
    this.#collect(this.#node, members, 0);
    return members;
  }

  /** Its members, of which unknown ones are warned of. */
  record(known: readonly string[]): YamlRecord {
    const members = this.members();
    for (const [key, view] of members ?? []) {
      if (known.includes(key)) continue;
      view.warn(`is not known and has no effect; known here: ${known.join(", ")}`);
    }
    return {
      has: (key) => members?.get(key)?.isNull === false,
      at: (key) =>
        members?.get(key) ?? new YamlView(this.#findings, undefined, this.#pathOf(key), this.#line),
    };
  }

  /** Its elements. */
  elements(): YamlView[] | undefined {
    if (this.isNull) return undefined;
    if (!isSeq(this.#node)) {
      this.problem(`must be a list, not ${this.#kind()}`);
      return undefined;
    }
    return this.#node.items.map((item, index) => {
      const line = lineOf(this.#findings, item) ?? this.#line;
      return new YamlView(this.#findings, item, `${this.path}[${index}]`, line);
    });
  }

  /** A text. Numbers are none: what was written may be another text. */
  text(): string | undefined {
    if (this.isNull) return undefined;
    const node = this.#node;
    if (isScalar(node) && typeof node.value === "string") return node.value;
    this.problem(`must be a text, not ${this.#kind()}`);
    return undefined;
  }

  /** True or false. */
  flag(): boolean | undefined {
    if (this.isNull) return undefined;
    const node = this.#node;
    if (isScalar(node) && typeof node.value === "boolean") return node.value;
    this.problem(`must be true or false, not ${this.#kind()}`);
    return undefined;
  }

  /** What a map says itself stands before what it merges. */
  #collect(map: YAMLMap, members: Map<string, YamlView>, depth: number): void {
    const merges: Pair[] = [];
    for (const pair of map.items) {
      const name = nameOf(pair.key);
      if (name === "<<") merges.push(pair);
      else if (!members.has(name)) {
        const line = lineOf(this.#findings, pair.key);
        members.set(name, new YamlView(this.#findings, pair.value, this.#pathOf(name), line));
      }
    }
    for (const { value } of merges) this.#merge(value, members, depth + 1);
  }

  #merge(value: unknown, members: Map<string, YamlView>, depth: number): void {
    const merged = resolve(this.#findings, value);
    for (const source of isSeq(merged) ? merged.items : [merged]) {
      const map = resolve(this.#findings, source);
      if (isMap(map) && depth <= maxMergeDepth) this.#collect(map, members, depth);
      else this.problem("<< merges maps, and not too many within each other");
    }
  }

  #pathOf(key: string): string {
    return this.path === "" ? key : `${this.path}.${key}`;
  }

  #say(text: string): string {
    return this.path === "" ? text : `${this.path}: ${text}`;
  }

  #kind(): string {
    if (this.isNull) return "null";
    if (isMap(this.#node)) return "a map";
    if (isSeq(this.#node)) return "a list";
    return isScalar(this.#node) ? JSON.stringify(this.#node.value) : "something else";
  }
}

function resolve({ document }: YamlFindings, node: unknown): Node | undefined {
  if (isAlias(node)) return node.resolve(document);
  return isNode(node) ? node : undefined;
}

function lineOf({ lines }: YamlFindings, node: unknown): number | undefined {
  const start = isNode(node) ? node.range?.[0] : undefined;
  return start === undefined ? undefined : lines.linePos(start).line;
}

function nameOf(key: unknown): string {
  if (!isScalar(key)) return "";
  return typeof key.value === "string" ? key.value : (key.source ?? String(key.value));
}

const maxMergeDepth = 16;
