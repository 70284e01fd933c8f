#!/usr/bin/env node
import { builtMain } from "./built-main.js";

// Where manifests say norouter, this stands in for NoRouter's own program.
process.title = "norouter";
const { main } = await import(builtMain());
await main([...process.argv.slice(0, 2), "norouter", ...process.argv.slice(2)]);
