#!/usr/bin/env node
import { builtMain } from "./built-main.js";

process.title = "culvert";
const { main } = await import(builtMain());
await main(process.argv);
