import { readFile, writeFile } from "node:fs/promises";
import { createServer as createHttpServer } from "node:http";
import { connect, createServer } from "node:net";
import { createSocket } from "node:dgram";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { decode, encode } from "dns-packet";
import { describe, expect, it, onTestFinished } from "vitest";
import { millis, sleep, systemClock, type ByteStream } from "@culvert/runtime";
import { waitUntil } from "@culvert/testkit";
import { encodeFrame, frameType, parseRouteSuggestion } from "@culvert/wire";
import { AgentUnderTest, scratchDirectory } from "./agent-under-test.test-data.ts";
import { askOverStream } from "./dns/ask-over-stream.ts";
import { osDial } from "./net/os-dial.ts";
import { closedPort, listening, sayTo } from "./proxy/proxy-fixture.test-data.ts";

const web = "127.0.77.101";
const user = "127.0.77.102";
const bastion = "127.0.77.103";
const hostnameMap = { web, user, bastion };
const nameServers = [web, user, bastion].map((ip) => ({ ip, port: 10_053, proto: "tcp" }));
const common = {
  hostnameMap,
  nameServers,
  loopback: { disable: true },
  stateDir: { disable: true },
};

/** Forwards packets as a manager does: by virtual address, learned addresses, and else to the bastion. */
function manage(agents: ReadonlyMap<string, AgentUnderTest>): string[] {
  const order: string[] = [];
  for (const [from, agent] of agents) {
    const push = agent.frames.push.bind(agent.frames);
    agent.frames.push = (...frames) => {
      for (const { type, payload } of frames) {
        if (type !== frameType.l3) {
          order.push(`${from} says ${JSON.stringify(Buffer.from(payload).toString())}`);
          continue;
        }
        const destination = payload.subarray(16, 20).join(".");
        order.push(`${from} to ${destination}`);
        (agents.get(destination) ?? agents.get(bastion))?.send(encodeFrame(type, payload.slice()));
      }
      return push(...frames);
    };
  }
  return order;
}

async function mesh(
  argsOf: Readonly<Record<string, object>>,
  machines: Readonly<Record<string, object>> = {},
) {
  const agents = new Map<string, AgentUnderTest>();
  for (const me of Object.keys(argsOf)) agents.set(me, new AgentUnderTest(machines[me]));
  const order = manage(agents);
  for (const [me, agent] of agents) {
    const result = await agent.configure({ ...common, me, ...argsOf[me] });
    expect(result).toMatchObject({ data: { version: "0.6.5" } });
  }
  return { agents, order };
}

/** A web server on loopback that says which of its paths was asked for. */
function site(): Promise<number> {
  return listening(createHttpServer((req, res) => res.end(`you asked for ${req.url ?? ""}`)));
}

const echo = (): Promise<number> =>
  listening(createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket)));

const forward = (listenPort: number, port: number, host = "127.0.0.1") => ({
  listen_port: listenPort,
  connect_ip: host,
  connect_port: port,
  proto: "tcp",
});

/** The address that one of an agent's proxies listens on. */
function proxyPort(agent: AgentUnderTest, listener: string): number {
  const line = agent.lines.find(
    (one) => one["listener"] === listener && one["address"] !== undefined,
  );
  return Number(String(line?.["address"]).split(":").at(-1));
}

const get = (url: string): string => `GET ${url} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`;

describe("ports", () => {
  it("own ones and those of others are reached by loopback, half-close included", async () => {
    const [port, listen] = [await echo(), await closedPort()];
    const loopback = { disable: false };
    const { agents } = await mesh({
      [web]: { forwards: [forward(listen, port, "localhost")] },
      [user]: { loopback, others: [{ ip: web, port: listen, proto: "tcp" }], nameServers: [] },
    });
    const say = async (host: string): Promise<string> => {
      const socket = connect({ host, port: listen, allowHalfOpen: true });
      onTestFinished(() => void socket.destroy());
      socket.end("there and back");
      let text = "";
      for await (const chunk of socket) text += String(chunk);
      return text;
    };
    expect(await say(web)).toBe("there and back");
    const own = new AgentUnderTest();
    const other = await closedPort();
    const me = "127.0.77.104";
    await own.configure({
      ...common,
      me,
      loopback,
      nameServers: [],
      forwards: [forward(other, port)],
    });
    const socket = connect({ host: me, port: other, allowHalfOpen: true });
    onTestFinished(() => void socket.destroy());
    socket.end("straight");
    let text = "";
    for await (const chunk of socket) text += String(chunk);
    expect(text).toBe("straight");
    expect(own.packets).toEqual([]);
    expect(agents.get(user)?.packets.length).toBeGreaterThan(0);
  });

  it("whose service is gone are open at first, and reset then", async () => {
    const [gone, listen] = [await closedPort(), await closedPort()];
    const { agents } = await mesh({
      [web]: { forwards: [forward(listen, gone)] },
      [user]: { others: [{ ip: web, port: listen, proto: "tcp" }], loopback: {}, nameServers: [] },
    });
    const socket = connect(listen, web);
    const ended = new Promise((resolve) => socket.on("error", resolve));
    socket.resume();
    expect(await ended).toMatchObject({ code: "ECONNRESET" });
    await agents.get(web)?.logged("ECONNREFUSED");
  });

  it("are free again when the agent has ended", async () => {
    const [port, listen] = [await echo(), await closedPort()];
    const me = "127.0.77.105";
    const args = { ...common, me, loopback: {}, forwards: [forward(listen, port)] };
    for (let round = 0; round < 2; round += 1) {
      const agent = new AgentUnderTest();
      expect(await agent.configure({ ...args, nameServers: [] })).toHaveProperty("data");
      const open = connect(listen, me);
      open.on("error", () => undefined);
      await new Promise((resolve) => open.once("connect", resolve));
      agent.input.end();
      expect(await agent.exited()).toBe(1);
    }
  });
});

describe("a port that leads to itself", () => {
  const me = "127.0.77.108";
  const configure = (forwards: object[], disable = false) => {
    const agent = new AgentUnderTest();
    const args = { ...common, me, nameServers: [], loopback: { disable }, forwards };
    return agent.configure(args);
  };

  it("is refused with its number, also by way of others", async () => {
    const [a, b, c] = [await closedPort(), await closedPort(), await closedPort()];
    const own = await configure([forward(c, 80), forward(a, a, me)]);
    expect(own).toHaveProperty("error", expect.stringContaining(`port ${a} leads to itself`));
    const round = await configure([forward(a, b, me), forward(b, c, me), forward(c, b, me)]);
    expect(round).toHaveProperty("error", expect.stringContaining(`port ${b} leads to itself`));
  });

  it("is none where it leads to another address, another port, or a service of the address itself", async () => {
    const [a, b] = [await closedPort(), await closedPort()];
    expect(await configure([forward(a, a, "127.0.0.1"), forward(b, a, me)])).toHaveProperty("data");
    expect(await configure([forward(a, a, me)], true)).toHaveProperty("data");
  });
});

describe("proxies", () => {
  const proxies = { http: { listen: "127.0.0.1:0" }, socks: { listen: "127.0.0.1:0" } };

  it.each([":0", "0.0.0.0:0", "[::]:0"])(
    "that listen at %s say that everybody may use them",
    async (listen) => {
      const agent = new AgentUnderTest();
      await agent.configure({ ...common, me: user, http: { listen }, socks: { listen } });
      const open = agent.lines.filter(({ event }) => event === "norouter.agent.proxy.open");
      expect(open.map(({ listener }) => listener)).toEqual(["http", "socks"]);
      expect(open[0]?.["text"]).toContain("everybody who reaches this machine");
    },
  );

  it.each(["127.0.0.1:0", `${user}:0`, "localhost:0"])(
    "that listen at %s do not",
    async (listen) => {
      const agent = new AgentUnderTest();
      await agent.configure({ ...common, me: user, http: { listen }, socks: { listen } });
      expect(agent.lines.map(({ event }) => event)).not.toContain("norouter.agent.proxy.open");
    },
  );

  it("reach hosts by name, and everything else by the system", async () => {
    const [port, listen] = [await site(), await closedPort()];
    const { agents } = await mesh({
      [web]: { forwards: [forward(listen, port)] },
      [user]: proxies,
    });
    const agent = agents.get(user)!;
    const http = proxyPort(agent, "http");
    expect(await sayTo(http, get(`http://WEB:${listen}/a`))).toMatch(/you asked for \/a$/);
    expect(await sayTo(http, get(`http://127.0.0.1:${port}/b`))).toMatch(/you asked for \/b$/);
    const tunnel = `CONNECT ${web}:${listen} HTTP/1.1\r\nHost: x\r\n\r\n${get("/c")}`;
    expect(await sayTo(http, tunnel)).toMatch(/^HTTP\/1\.1 200 [^]*you asked for \/c/);
    const name = [3, ...Buffer.from("\x03web"), listen >> 8, listen & 255];
    const socks = Buffer.from([5, 1, 0, 5, 1, 0, ...name]);
    const answer = await sayTo(
      proxyPort(agent, "socks"),
      Buffer.concat([socks, Buffer.from(get("/d"))]),
    );
    expect(answer).toMatch(/you asked for \/d/);
  });

  it("reach what lies behind the bastion, and nothing that is not routed there", async () => {
    const port = await site();
    const routes = [{ toCIDR: ["127.88.0.0/16"], toHostnameGlob: null, via: bastion }];
    const { agents } = await mesh({ [bastion]: { routes }, [user]: { routes, ...proxies } });
    const server = createHttpServer((req, res) => res.end(`inside: ${req.url ?? ""}`));
    await new Promise<void>((resolve) => void server.listen(0, "127.88.1.1", resolve));
    onTestFinished(() => void server.close());
    const inside = (server.address() as { port: number }).port;
    const http = proxyPort(agents.get(user)!, "http");
    expect(await sayTo(http, get(`http://127.88.1.1:${inside}/e`))).toMatch(/inside: \/e$/);
    const stray = new AgentUnderTest();
    const wide = [{ toCIDR: ["127.0.0.0/8"], toHostnameGlob: null, via: bastion }];
    await stray.configure({ ...common, me: "127.0.77.106", hostnameMap, routes: wide, ...proxies });
    manage(
      new Map([
        ["127.0.77.106", stray],
        [bastion, agents.get(bastion)!],
      ]),
    );
    const refused = await sayTo(proxyPort(stray, "http"), get(`http://127.0.0.1:${port}/f`));
    expect(refused).toContain("See NoRouter agent log");
    await agents.get(bastion)!.logged(`127.0.0.1:${port}`);
  });

  /** A mesh whose bastion has a DNS that gives this address for all names. */
  async function meshWithNames(address: string, toCIDR: readonly string[] | null) {
    const routes = [{ toCIDR, toHostnameGlob: ["*.corp.example"], via: bastion }];
    const upstream = createSocket("udp4");
    onTestFinished(() => void upstream.close());
    await new Promise<void>((resolve) => upstream.bind(0, "127.0.0.1", resolve));
    upstream.on("message", (bytes, from) => {
      const { id = 0, questions = [] } = decode(bytes);
      const answers = [
        { type: "A" as const, name: questions[0]?.name ?? "", ttl: 1, data: address },
      ];
      upstream.send(encode({ type: "response", id, questions, answers }), from.port, from.address);
    });
    const dnsServers = () => Promise.resolve([upstream.address()]);
    return mesh(
      { [bastion]: { routes }, [user]: { routes, ...proxies } },
      { [bastion]: { dnsServers } },
    );
  }

  /** What is on loopback is reached by names only where the manifest routes it; what has another address is, too, where it does not. */
  const ofThisMachine = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ family, internal, address }) => {
      return family === "IPv4" && !internal && !address.startsWith("169.254.");
    })?.address;
  it.each([
    ["127.89.1.1", ["127.89.0.0/16"]],
    ...(ofThisMachine === undefined ? [] : [[ofThisMachine, null] as const]),
  ] as const)(
    "ask the bastion for names, and tell the manager before they go there: %s",
    async (address, toCIDR) => {
      const { agents, order } = await meshWithNames(address, toCIDR);
      const server = createHttpServer((req, res) => res.end(`corp: ${req.url ?? ""}`));
      await new Promise<void>((resolve) => void server.listen(0, address, resolve));
      onTestFinished(() => void server.close());
      const { port } = server.address() as { port: number };
      const agent = agents.get(user)!;
      const url = `http://www.corp.example:${port}/g`;
      expect(await sayTo(proxyPort(agent, "http"), get(url))).toMatch(/corp: \/g$/);
      const event = agent.messages.find(({ kind }) => kind === "event");
      expect(event).toMatchObject({ type: "routeSuggestion" });
      expect(parseRouteSuggestion((event as { data: unknown }).data)).toEqual({
        ip: [address],
        route: bastion,
      });
      const told = order.findIndex((line) => line.includes("routeSuggestion"));
      const sent = order.findIndex((line) => line === `${user} to ${address}`);
      expect(told).toBeGreaterThan(-1);
      expect(sent).toBeGreaterThan(told);
    },
  );

  it("reach nothing on the bastion's own loopback by a name that leads there", async () => {
    const { agents } = await meshWithNames("127.0.0.1", null);
    const agent = agents.get(user)!;
    const url = `http://localhost.corp.example:${await site()}/h`;
    const answer = await sayTo(proxyPort(agent, "http"), get(url));
    expect(answer).toContain("See NoRouter agent log");
    await agent.logged("leads to 127.0.0.1, which no name may lead to");
    expect(agent.messages.filter(({ kind }) => kind === "event")).toEqual([]);
  });
});

describe("DNS", () => {
  const question = encode({ type: "query", id: 5, questions: [{ type: "A", name: "bastion" }] });
  const dnsPort = async () => {
    const port = await closedPort();
    return { port, nameServers: [web, user].map((ip) => ({ ip, port, proto: "tcp" })) };
  };

  it("of every host is reached by loopback, by TCP and UDP", async () => {
    const { port, nameServers } = await dnsPort();
    await mesh({ [web]: { nameServers }, [user]: { nameServers, loopback: {} } });
    for (const host of [user, web]) {
      const limits = { clock: systemClock, limit: millis(5_000) };
      const dial = (signal: AbortSignal): Promise<ByteStream> =>
        osDial(host, port, { ...limits, signal });
      const byTcp = await askOverStream(question, dial, { ...limits, what: "DNS" });
      const client = createSocket("udp4");
      const byUdp = new Promise<Buffer>((resolve) => client.once("message", resolve));
      client.send(question, port, host);
      for (const answer of [Buffer.from(byTcp), await byUdp]) {
        expect(decode(answer).answers).toMatchObject([{ data: bastion, ttl: 0 }]);
      }
      client.close();
    }
  });
});

describe("files", () => {
  it("are written, and the hosts taken out of the system's file again at the end", async () => {
    const home = await scratchDirectory();
    const etcHosts = join(home, "etc-hosts");
    await writeFile(etcHosts, "127.0.0.1 localhost\n");
    const agent = new AgentUnderTest({ etcHosts, environment: { HOME: home } });
    await agent.configure({ ...common, me: user, stateDir: {}, writeEtcHosts: true });
    expect(await readFile(etcHosts, "utf8")).toContain(`${web} web\n`);
    expect(await readFile(join(home, ".norouter/agent/hosts"), "utf8")).toContain(`${web} web\n`);
    agent.input.end();
    await agent.exited();
    expect(await readFile(etcHosts, "utf8")).toBe("127.0.0.1 localhost\n");
  });

  it("that cannot be written are no failure", async () => {
    const agent = new AgentUnderTest();
    const args = { ...common, me: user, stateDir: { path: "$UNSET/x" }, writeEtcHosts: true };
    expect(await agent.configure(args)).toHaveProperty("data");
    await agent.logged("the variable $UNSET is not set");
    await agent.logged("/nonexistent/hosts");
  });
});

describe("the end", () => {
  it("comes with 0 where it is stopped, also in the middle of a configure", async () => {
    const listen = await closedPort();
    const stop = new AbortController();
    const agent = new AgentUnderTest({}, { signal: stop.signal });
    const me = "127.0.77.107";
    const args = { ...common, me, loopback: {}, nameServers: [], forwards: [forward(listen, 1)] };
    agent.sendJson({ type: "request", body: { id: 1, op: "configure", args } });
    stop.abort();
    expect(await agent.exited()).toBe(0);
    const again = createServer().listen(listen, me);
    onTestFinished(() => void again.close());
    await new Promise((resolve, reject) => again.once("listening", resolve).once("error", reject));
  });

  it("comes with 1 where nobody takes its frames", async () => {
    const agent = new AgentUnderTest();
    agent.output.destroy(new Error("EPIPE"));
    expect(await agent.exited()).toBe(1);
  });

  it("comes with 1 where the first configuration is wrong", async () => {
    const wrong = new AgentUnderTest({}, { initConfig: "{" });
    expect(await wrong.exited()).toBe(1);
    const failing = new AgentUnderTest({}, { initConfig: '{"me":"::1"}' });
    expect(await failing.exited()).toBe(1);
  });
});

it("a configuration that came by the command line is not answered, and two such agents need no manager", async () => {
  const [port, listen] = [await site(), await closedPort()];
  const serving = { ...common, me: web, forwards: [forward(listen, port)] };
  const asking = { ...common, me: user, http: { listen: "127.0.0.1:0" } };
  const one = new AgentUnderTest({}, { initConfig: JSON.stringify(serving) });
  const other = new AgentUnderTest({}, { initConfig: JSON.stringify(asking) });
  manage(
    new Map([
      [web, one],
      [user, other],
    ]),
  );
  await other.logged("norouter.agent.configured");
  await one.logged("norouter.agent.configured");
  expect(await sayTo(proxyPort(other, "http"), get(`http://web:${listen}/h`))).toMatch(
    /asked for \/h$/,
  );
  expect([...one.messages, ...other.messages]).toEqual([]);
});

it("goes on reading while nobody takes what it writes, drops, and recovers", async () => {
  const [port, listen] = [await echo(), await closedPort()];
  const { agents } = await mesh({ [web]: { forwards: [forward(listen, port)] } });
  const agent = agents.get(web)!;
  agent.output.pause();
  // Pings of 60,000 bytes, each to be answered: more than the egress holds.
  const ping = pingOf(60_000);
  for (let count = 0; count < 600; count += 1) {
    agent.send(encodeFrame(frameType.l3, ping));
    if (count % 50 === 0) await sleep(systemClock, millis(0));
  }
  agent.sendJson({ type: "request", body: { id: 9, op: "nope" } });
  await agent.logged("unexpected JSON op");
  expect(agent.output.writableLength).toBeLessThanOrEqual(16 * 1024 * 1024 + 64 * 1024);
  agent.output.resume();
  await waitUntil(() => agent.output.writableLength === 0, { what: "the queue to leave" });
  agent.sendJson({ type: "request", body: { id: 10, op: "nope" } });
  await agent.message(10);
  agent.input.end();
  await agent.exited();
  const end = agent.lines.find(({ event }) => event === "norouter.agent.ended");
  expect(end?.["droppedFrames"]).toBeGreaterThan(100);
});

/** An ICMP echo request to {@link web} (RFC 792) with this many bytes. */
function pingOf(length: number): Uint8Array {
  const packet = new Uint8Array(length);
  const view = new DataView(packet.buffer);
  packet.set([0x45, 0, length >> 8, length & 255, 0, 0, 0, 0, 64, 1]);
  packet.set(user.split(".").map(Number), 12);
  packet.set(web.split(".").map(Number), 16);
  view.setUint16(10, checksum(packet.subarray(0, 20)));
  packet[20] = 8;
  view.setUint16(22, checksum(packet.subarray(20)));
  return packet;
}

function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2)
    sum += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
