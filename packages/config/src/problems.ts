import { ConfigError } from "@culvert/runtime";

/** One thing that is wrong with a configuration. */
export interface Problem {
  /** Where it was said: `peers[1].role`, `--log-level`, `CULVERT_LOG_LEVEL`. */
  readonly path: string;
  /** What is wrong, what would be right, and what was found. */
  readonly text: string;
}

/** Gathers everything that is wrong, so that a person mends it in one go. */
export class Problems {
  readonly #list: Problem[] = [];

  get list(): readonly Problem[] {
    return this.#list;
  }

  /** Notes a problem. */
  add(path: string, text: string): void {
    this.#list.push({ path, text });
  }

  /** What has been noted so far; later notes do not change it. */
  snapshot(): Problems {
    const copy = new Problems();
    copy.#list.push(...this.#list);
    return copy;
  }

  /** Whether something is wrong at the path or below it. */
  touch(path: string): boolean {
    return this.#list.some(
      (problem) =>
        problem.path === path ||
        (/^[.[]/.test(problem.path.slice(path.length)) && problem.path.startsWith(path)),
    );
  }

  /**
   * Ends the reading of `source` if anything is wrong.
   * @throws ConfigError `bad_config` with one line per problem; `data.problems` holds them.
   */
  throwIfAny(source: string): void {
    if (this.#list.length === 0) return;
    const [first] = this.#list;
    const lines = this.#list.map(({ path, text }) => (path === "" ? text : `${path}: ${text}`));
    throw new ConfigError(
      "bad_config",
      this.#list.length === 1 && first !== undefined
        ? `${source}: ${lines.join("")}`
        : `${source} has ${this.#list.length} problems:\n${lines.map((line) => `  ${line}`).join("\n")}`,
      { data: { source, problems: this.#list } },
    );
  }
}
