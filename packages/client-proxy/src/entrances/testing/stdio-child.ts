import { standardStreams } from "../stdio-stream.ts";
import { runStdio } from "../stdio.ts";
import { LoopbackConnector } from "./loopback-connector.ts";

// A process that joins its standard input and output to the TCP port in its first argument, as `culvert connect` does.
const connector = new LoopbackConnector(() => Number(process.argv[2]));
const { failure } = await runStdio(
  { connector },
  {
    server: "lan-box",
    target: "ssh",
    stream: standardStreams(),
    signal: new AbortController().signal,
  },
);
process.stderr.write(`${failure?.error.message ?? "no failure"}\n`);
