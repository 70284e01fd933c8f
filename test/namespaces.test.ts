import { describe, expect, it } from "vitest";
import { Child } from "./support/child.ts";
import { useTwoNamespaces, type Namespace, type TwoNamespaces } from "./support/netns.ts";
import { missing, notRoot } from "./support/requires.ts";
import { digest, sendRandom } from "./support/tcp.ts";
import { endWithTest } from "./support/temp-folder.ts";
import { useTrial, type Trial } from "./support/trial.ts";
import { timed, waitUntil, within } from "./support/wait.ts";

const mebibyte = 1024 * 1024;
const transferBytes = 100 * mebibyte;
const impossible = notRoot("the network namespaces") || missing("ip", "iptables", "nc");

describe.skipIf(impossible)("two network namespaces joined by a 1,500-byte veth", () => {
  for (const engine of ["quinn", "quiche"] as const) {
    it(`carries 100 MiB each way through both, ${engine}`, async () => {
      const { trial, net } = await useSplitTrial(engine);
      await transferBothWays(trial, net, transferBytes, `${engine}, no loss`);
      // Whole packets only: nothing was sent that the link had to cut or turn away.
      expect(await net.lan.sh("cat /sys/class/net/cv-lan/mtu")).toBe("1500\n");
      const counters = await net.lan.sh("nstat -asz IpFragCreates IpFragFails 2>/dev/null || true");
      expect(counters).not.toMatch(/IpFrag\w+ +[1-9]/);
    });

    it(`carries 100 MiB each way with 1 % of the UDP packets dropped, ${engine}`, async () => {
      const { trial, net } = await useSplitTrial(engine);
      for (const side of [net.wan, net.lan]) {
        await side.sh(
          "iptables -A INPUT -p udp -m statistic --mode random --probability 0.01 -j DROP",
        );
      }
      await transferBothWays(trial, net, transferBytes, `${engine}, 1 % loss`);
      for (const side of [net.wan, net.lan]) {
        const rules = await side.sh("iptables -L INPUT -v -n -x");
        const dropped = Number(/^\s*(\d+)\s+\d+\s+DROP/m.exec(rules)?.[1]);
        expect(dropped, "packets dropped").toBeGreaterThan(100);
      }
    });
  }
});

/** Relay in one namespace; server, client, P1 and P5 in the other, so that both hops cross the link. */
async function useSplitTrial(
  engine: "quiche" | "quinn",
): Promise<{ readonly trial: Trial; readonly net: TwoNamespaces }> {
  const net = await useTwoNamespaces();
  const trial = await useTrial();
  const address = `${net.wanAddress}:${trial.relayPort}`;
  await trial.edit("relay", (config) => {
    config["listen"] = [address];
    config["quic"] = { engine, allowQuicheListener: engine === "quiche" };
  });
  for (const role of ["server", "client"] as const) {
    await trial.edit(role, (config) => {
      config["relay"] = { ...(config["relay"] as object), address };
      config["quic"] = { engine };
    });
  }
  await trial.startOne("relay", { prefix: net.wan.prefix });
  await trial.startOne("server", { prefix: net.lan.prefix });
  await trial.startOne("client", { prefix: net.lan.prefix });
  await trial.attached();
  const transports = (await trial.status("relay")).peers.map((peer) => peer.sessions[0]?.transport);
  expect(transports).toEqual([`quic/${engine}`, `quic/${engine}`]);
  return { trial, net };
}

async function transferBothWays(
  trial: Trial,
  net: TwoNamespaces,
  bytes: number,
  label: string,
): Promise<void> {
  for (const direction of ["up", "down"] as const) {
    const { tookMs } = await timed(() => oneWay(trial, net, direction, bytes));
    const rate = bytes / mebibyte / (tookMs / 1000);
    console.log(`${label}, ${direction}: ${rate.toFixed(1)} MiB/s`);
  }
  await trial.quiet();
}

/** One transfer between two netcats, with equal hashes. */
async function oneWay(
  trial: Trial,
  net: TwoNamespaces,
  direction: "up" | "down",
  bytes: number,
): Promise<void> {
  const end = inside(net.lan, ["nc", "-N", "-l", "-p", String(trial.targetPort)]);
  await waitUntil("nc listens", async () =>
    (await net.lan.sh("ss -Htln")).includes(`:${trial.targetPort} `),
  );
  const user = inside(net.lan, ["nc", "-N", "127.0.0.1", String(trial.listenPort)]);
  const [from, to] = direction === "up" ? [user, end] : [end, user];
  // A client netcat stays until its own input ends too.
  const received = digest(to.stdout, (count) => {
    if (count >= bytes) to.stdin.end();
  });
  const sent = await sendRandom(from.stdin, bytes);
  expect(await within(100_000, `${bytes} bytes ${direction}`, received)).toEqual(sent);
  await within(5_000, "netcats end", Promise.all([end.exited, user.exited]));
}

function inside(namespace: Namespace, command: readonly string[]): Child {
  const [program = "", ...args] = [...namespace.prefix, ...command];
  const child = new Child(program, args);
  child.stderr.resume();
  endWithTest(child);
  return child;
}
