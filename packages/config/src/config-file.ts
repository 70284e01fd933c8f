import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { ConfigError, errorText, systemCode } from "@culvert/runtime";
import { LineCounter, parseDocument } from "yaml";
import { isMapping } from "./collection-kinds.ts";
import { Problems } from "./problems.ts";

/**
 * Reads a configuration file, YAML 1.2 or JSON, of at most 1 MiB.
 * @throws ConfigError `unreadable_file` naming the file and why; `bad_config` with the line and column of what is wrong, but without
 * the text there, which may be a secret.
 */
export function readConfigFile(file: string): Readonly<Record<string, unknown>> {
  const text = readBounded(file);
  const problems = new Problems();
  const tree = parse(text, problems);
  problems.throwIfAny(file);
  if (tree === null || tree === undefined) return {};
  if (isMapping(tree)) return tree;
  problems.add("", "expected a mapping of keys to values");
  problems.throwIfAny(file);
  return {};
}

function parse(text: string, problems: Problems): unknown {
  const lineCounter = new LineCounter();
  try {
    const document = parseDocument(text, {
      lineCounter,
      prettyErrors: false,
      uniqueKeys: true,
      logLevel: "silent",
    });
    // One slip makes the parser complain of all that follows; the first few are what helps.
    for (const error of document.errors.slice(0, mostSyntaxErrors)) {
      const { line, col } = lineCounter.linePos(error.pos[0]);
      problems.add("", `line ${line}, column ${col}: ${error.message}`);
    }
    return document.errors.length > 0 ? undefined : document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    // Nesting that exhausts the stack, and aliases that multiply, end here.
    problems.add("", `cannot be parsed: ${errorText(error)}`);
    return undefined;
  }
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
const mostSyntaxErrors = 3;
