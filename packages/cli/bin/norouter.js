#!/usr/bin/env node
import { main } from "../dist/main.js";

// Where manifests say norouter, this stands in for NoRouter's own program.
process.title = "norouter";
await main([...process.argv.slice(0, 2), "norouter", ...process.argv.slice(2)]);
