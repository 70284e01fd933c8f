#!/usr/bin/env node
import { main } from "../dist/main.js";

// For looking into something: culvert as its modules were built, whatever the bundle.
process.title = "culvert";
await main(process.argv);
