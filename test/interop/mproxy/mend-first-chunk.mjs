// The real Telebit programs give a socket's first chunk back by a call of Node's inside that has meant something else since Node 12:
// they then read as many zeros. Loaded before them, this replaces the call by the one that is meant, in memory.
import { readFileSync } from "node:fs";
import Module from "node:module";

Module._extensions[".js"] = function load(module, filename) {
  const text = readFileSync(filename, "utf8").replaceAll(
    "_handle.onread(firstChunk.length, firstChunk)",
    "unshift(firstChunk)",
  );
  module._compile(text, filename);
};
