import { createSocket } from "node:dgram";
import { isIPv6 } from "node:net";
import { errorText, TransportError, withDeadline, type Clock } from "@culvert/runtime";
import { agentDefaults } from "../agent-defaults.ts";
import { osDial } from "../net/os-dial.ts";
import { askOverStream } from "./ask-over-stream.ts";

/** One of the system's DNS servers. */
export interface DnsServer {
  readonly address: string;
  readonly port: number;
}

/**
 * Hands a query on as it is, to all servers at once by UDP, and one after the other by TCP where none answers whole. The first answer is
 * the result.
 * @throws TransportError `dial_failed` where nobody answers.
 */
export async function askUpstream(
  query: Uint8Array,
  servers: readonly DnsServer[],
  clock: Clock,
): Promise<Uint8Array> {
  const failures: string[] = [];
  try {
    return await Promise.any(servers.map((server) => askByUdp(query, server, clock)));
  } catch (error) {
    failures.push(`UDP: ${errorText(error)}`);
  }
  const limit = agentDefaults.upstreamQueryTimeout;
  for (const { address, port } of servers) {
    try {
      const dial = (signal: AbortSignal) => osDial(address, port, { clock, limit, signal });
      return await askOverStream(query, dial, { clock, limit, what: `DNS of ${address}` });
    } catch (error) {
      failures.push(`TCP: ${errorText(error)}`);
    }
  }
  throw new TransportError("dial_failed", `no DNS server answers: ${failures.join("; ")}`, {
    data: { servers: servers.length },
  });
}

function askByUdp(query: Uint8Array, server: DnsServer, clock: Clock): Promise<Uint8Array> {
  const what = `DNS of ${server.address}`;
  const socket = createSocket(isIPv6(server.address) ? "udp6" : "udp4");
  const answered = withDeadline(
    { clock, limit: agentDefaults.upstreamQueryTimeout, what },
    () =>
      new Promise<Uint8Array>((resolve, reject) => {
        socket.on("error", reject);
        socket.on("message", (answer) => {
          if (!isAnswerTo(query, answer)) return;
          if (((answer[2] ?? 0) & truncatedBit) === 0) resolve(answer);
          else reject(new TransportError("dial_failed", `${what}: the answer is cut`));
        });
        // Connected, so that the system takes packets of nobody else.
        socket.connect(server.port, server.address, () => {
          socket.send(query, (error) => {
            if (error !== null) reject(error);
          });
        });
      }),
  );
  return answered.finally(() => socket.close());
}

function isAnswerTo(query: Uint8Array, answer: Uint8Array): boolean {
  return (
    answer.length >= headerBytes &&
    answer[0] === query[0] &&
    answer[1] === query[1] &&
    ((answer[2] ?? 0) & responseBit) !== 0
  );
}

const headerBytes = 12;
const responseBit = 0x80;
const truncatedBit = 0x02;
