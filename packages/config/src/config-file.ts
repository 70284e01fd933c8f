import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { ConfigError, errorText, systemCode } from "@culvert/runtime";
import { LineCounter, parseDocument } from "yaml";
import { isMapping } from "./collection-kinds.ts";
import type { Problems } from "./problems.ts";

/**
 * Reads a configuration file, YAML 1.2 or JSON, of at most 1 MiB. Faults of the syntax are noted with line and column, without the
 * text around them, which may hold a secret; then the result is empty.
 * @throws ConfigError `unreadable_file` naming the file and why.
 */
export function readConfigFile(
  file: string,
  problems: Problems,
): Readonly<Record<string, unknown>> {
  const lineCounter = new LineCounter();
  try {
    const document = parseDocument(readBounded(file), {
      lineCounter,
      prettyErrors: false,
      uniqueKeys: true,
      logLevel: "silent",
    });
    for (const error of document.errors) {
      const { line, col } = lineCounter.linePos(error.pos[0]);
      problems.add("", `line ${line}, column ${col}: ${error.message}`);
    }
    if (document.errors.length > 0) return {};
    const tree: unknown = document.toJS({ maxAliasCount: 100 });
    if (tree === null || tree === undefined) return {};
    if (isMapping(tree)) return tree;
    problems.add("", "expected a mapping of keys to values");
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    // Nesting that exhausts the stack, and aliases that multiply, end here.
    problems.add("", `cannot be parsed: ${errorText(error)}`);
  }
  return {};
}

function readBounded(file: string): string {
  let handle: number | undefined;
  try {
    handle = openSync(file, "r");
    const stat = fstatSync(handle);
    if (!stat.isFile()) throw new Error("it is not a regular file");
    if (stat.size > maxFileBytes) {
      throw new Error(`it has ${stat.size} bytes, and the limit is ${maxFileBytes}`);
    }
    const buffer = Buffer.alloc(stat.size);
    let length = 0;
    while (length < buffer.length) {
      const read = readSync(handle, buffer, length, buffer.length - length, length);
      if (read === 0) break;
      length += read;
    }
    return buffer.toString("utf8", 0, length);
  } catch (error) {
    const reason = systemCode(error) === "ENOENT" ? "there is no such file" : errorText(error);
    throw new ConfigError("unreadable_file", `cannot read the configuration ${file}: ${reason}`, {
      data: { file },
      cause: error,
    });
  } finally {
    if (handle !== undefined) closeSync(handle);
  }
}

const maxFileBytes = 1024 * 1024;
