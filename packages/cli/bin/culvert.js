#!/usr/bin/env node
import { main } from "../dist/main.js";

process.title = "culvert";
await main(process.argv);
