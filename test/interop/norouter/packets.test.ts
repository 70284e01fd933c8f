import { randomBytes } from "node:crypto";
import { describe, expect, it, onTestFailed, onTestFinished } from "vitest";
import {
  decodeIcmp,
  decodeIpv4,
  decodeTcp,
  encodeIcmp,
  encodeTcp,
  encodeUdp,
  icmpType,
  ipProtocol,
  parseIpv4Address,
  tcpFlag,
  type Ipv4Packet,
  type TcpHeader,
  type TcpSegment,
} from "../../../packages/netstack/src/packet/index.ts";
import { freePort } from "../../support/ports.ts";
import { echoServer, TestServer } from "../../support/tcp.ts";
import { endWithTest } from "../../support/temp-folder.ts";
import { waitUntil } from "../../support/wait.ts";
import { AgentProcess, frame, frameKind } from "./agent-process.ts";
import { ours, realProgram, type Program } from "./program.ts";

const real = realProgram();
const agentIp = "127.0.42.21";
const peerIp = "127.0.42.22";
const forwardedPort = 8080;
/** Stands for a network behind the agent. */
const foreignIp = "127.9.9.9";
const modern = {
  mss: 65_495,
  sackPermitted: true,
  windowScale: 6,
  timestamps: { value: 1_000, echo: 0 },
};

for (const program of [ours, ...(real === undefined ? [] : [real])]) {
  describe(`packets given to the agent: ${program.name}`, () => {
    it("answers a ping", async () => {
      const wire = await useWire(program);
      const body = randomBytes(56);
      wire.send(
        encodeIcmp(header(agentIp), {
          type: icmpType.echoRequest,
          code: 0,
          rest: 0x12340001,
          body,
        }),
      );
      const reply = decodeIcmp(await wire.packet((each) => each.protocol === ipProtocol.icmp));
      expect(reply).toMatchObject({ type: icmpType.echoReply, code: 0, rest: 0x12340001 });
      expect(reply).toHaveProperty("body.length", body.length);
    });

    it("resets what comes for a port where nobody listens", async () => {
      const wire = await useWire(program);
      wire.sendTcp(agentIp, { ...syn(4_001, 9), options: modern });
      const reset = await wire.segment(4_001);
      expect(reset.flags).toBe(tcpFlag.rst | tcpFlag.ack);
      expect(reset.acknowledgment).toBe(isn + 1);
    });

    it("tells that nobody takes a UDP datagram", async () => {
      const wire = await useWire(program);
      const ports = { sourcePort: 4_002, destinationPort: 9 };
      wire.send(encodeUdp(header(agentIp), ports, Buffer.from("anybody?")));
      const told = decodeIcmp(await wire.packet((each) => each.protocol === ipProtocol.icmp));
      expect(told).toHaveProperty("type", icmpType.unreachable);
    });

    it("offers segments of 65,495 bytes, SACK, timestamps and scaled windows", async () => {
      const wire = await useWire(program);
      wire.sendTcp(agentIp, { ...syn(4_003), options: modern });
      const answer = await wire.segment(4_003);
      expect(answer.flags).toBe(tcpFlag.syn | tcpFlag.ack);
      expect(answer.options).toMatchObject({ mss: 65_495, sackPermitted: true });
      expect(answer.options.windowScale).toBeGreaterThanOrEqual(6);
      expect(answer.options.timestamps?.echo).toBe(modern.timestamps.value);
    });

    it("talks to a peer that knows no option but MSS, in segments no longer than that", async () => {
      const wire = await useWire(program);
      const talk = await wire.connect(agentIp, 4_004, { mss: 1_460 });
      const question = randomBytes(1_000);
      const echo = await talk.echo(question);
      expect(Buffer.concat(echo.map((each) => each.payload)).equals(question)).toBe(true);
      expect(talk.synAck.options).toMatchObject({ windowScale: undefined, timestamps: undefined });
      const page = await talk.echo(randomBytes(1_400), randomBytes(1_400));
      for (const each of page) expect(each.payload.length).toBeLessThanOrEqual(1_460);
    });

    it("does not hear a segment whose checksum is wrong", async () => {
      const wire = await useWire(program);
      const bad = encodeTcp(header(agentIp), { ...syn(4_005), options: modern });
      bad[bad.length - 1]! ^= 0x01;
      wire.send(bad);
      wire.sendTcp(agentIp, { ...syn(4_006), options: modern });
      await wire.segment(4_006);
      expect(wire.segments(4_005)).toEqual([]);
    });

    it("goes on after packets of nonsense", async () => {
      const wire = await useWire(program);
      for (let length = 20; length < 200; length += 1) {
        const packet = randomBytes(length);
        packet[0] = length % 3 === 0 ? 0x45 : packet[0]!;
        // For the agent itself: what is for others it would send on to this machine's own network.
        Buffer.from([127, 0, 42, 21]).copy(packet, 16);
        wire.send(packet);
      }
      wire.sendTcp(agentIp, { ...syn(4_007), options: modern });
      expect((await wire.segment(4_007)).flags).toBe(tcpFlag.syn | tcpFlag.ack);
    });

    it("answers in the name of an address behind it", async () => {
      const wire = await useWire(program);
      const talk = await wire.connect(foreignIp, 4_008, modern, wire.foreignPort);
      const question = randomBytes(500);
      const echo = await talk.echo(question);
      expect(Buffer.concat(echo.map((each) => each.payload)).equals(question)).toBe(true);
    });
  });
}

/** The test's end of the pipe: it is the host at {@link peerIp}. */
interface Wire {
  readonly foreignPort: number;
  send(packet: Uint8Array): void;
  sendTcp(to: string, segment: TcpHeader, payload?: readonly Uint8Array[]): void;
  /** The TCP segments that came for this port so far. */
  segments(port: number): readonly TcpSegment[];
  /** Waits for the first packet that is wanted. */
  packet(wanted: (packet: Ipv4Packet) => boolean): Promise<Ipv4Packet>;
  /** Waits for the first segment for this port. */
  segment(port: number): Promise<TcpSegment>;
  /** Shakes hands. */
  connect(
    to: string,
    port: number,
    options: TcpHeader["options"] & object,
    remotePort?: number,
  ): Promise<Talk>;
}

/** An open connection of the test's own making. It repeats nothing: the pipe loses nothing. */
interface Talk {
  readonly synAck: TcpSegment;
  /** Sends each part as one segment, waits for as many bytes, acknowledges them, and gives the segments that brought them. */
  echo(...parts: readonly Uint8Array[]): Promise<readonly TcpSegment[]>;
}

async function useWire(program: Program): Promise<Wire> {
  const server = await echoServer(0);
  onTestFinished(() => server.close());
  const foreignPort = await freePort();
  const foreign = await new TestServer((socket) => socket.pipe(socket)).listen(
    foreignPort,
    foreignIp,
  );
  onTestFinished(() => foreign.close());
  const agent = new AgentProcess(program);
  endWithTest(agent.child);
  onTestFailed(() => {
    console.error(agent.log.slice(-4_000));
  });
  agent.sendJson({ type: "request", body: { id: 1, op: "configure", args: config(server.port) } });
  await agent.wrote(1);
  return wireTo(agent, foreignPort);
}

function config(port: number): object {
  return {
    me: agentIp,
    forwards: [
      { listen_port: forwardedPort, connect_ip: "127.0.0.1", connect_port: port, proto: "tcp" },
    ],
    http: {},
    socks: {},
    loopback: { disable: true },
    stateDir: { disable: true },
    routes: [{ toCIDR: [`${foreignIp}/32`], toHostnameGlob: null, via: agentIp }],
  };
}

function wireTo(agent: AgentProcess, foreignPort: number): Wire {
  const packets = (): readonly Ipv4Packet[] =>
    agent.frames
      .filter((each) => each.kind === frameKind.l3)
      .map((each) => {
        const packet = decodeIpv4(each.payload);
        if (typeof packet === "string")
          throw new Error(`the agent sent a packet that is ${packet}`);
        return packet;
      });
  const segments = (port: number): readonly TcpSegment[] =>
    packets()
      .filter((each) => each.protocol === ipProtocol.tcp)
      .map((each) => {
        const segment = decodeTcp(each);
        if (typeof segment === "string") throw new Error(`the agent sent TCP that is ${segment}`);
        return segment;
      })
      .filter((each) => each.destinationPort === port);
  const send = (packet: Uint8Array): void => {
    agent.write(frame(frameKind.l3, packet));
  };
  const wire: Wire = {
    foreignPort,
    send,
    sendTcp(to, segment, payload) {
      send(encodeTcp(header(to), segment, payload));
    },
    segments,
    packet: (wanted) => waitUntil("the packet", () => packets().find(wanted), { withinMs: 10_000 }),
    segment: (port) =>
      waitUntil(`a segment for ${port}`, () => segments(port)[0], { withinMs: 10_000 }),
    connect: (to, port, options, remotePort) => connect(wire, to, port, options, remotePort),
  };
  return wire;
}

async function connect(
  wire: Wire,
  to: string,
  port: number,
  options: TcpHeader["options"] & object,
  remotePort = forwardedPort,
): Promise<Talk> {
  wire.sendTcp(to, { ...syn(port, remotePort), options });
  const synAck = await wire.segment(port);
  expect(synAck.flags).toBe(tcpFlag.syn | tcpFlag.ack);
  let [sent, received] = [isn + 1, synAck.sequence + 1];
  const sendOne = (payload: readonly Uint8Array[], flags: number): void => {
    const echo = synAck.options.timestamps?.value;
    wire.sendTcp(
      to,
      {
        ...syn(port, remotePort),
        sequence: sent >>> 0,
        acknowledgment: received >>> 0,
        flags,
        ...(echo === undefined ? {} : { options: { timestamps: { value: 1_001, echo } } }),
      },
      payload,
    );
    for (const part of payload) sent += part.length;
  };
  sendOne([], tcpFlag.ack);
  const echo = async (...parts: readonly Uint8Array[]): Promise<readonly TcpSegment[]> => {
    const end = parts.reduce((sum, each) => sum + each.length, received);
    for (const part of parts) sendOne([part], tcpFlag.ack | tcpFlag.psh);
    return waitUntil("the echo", () => {
      const fresh = new Map<number, TcpSegment>();
      for (const each of wire.segments(port)) {
        if (each.payload.length > 0 && each.sequence >= received) fresh.set(each.sequence, each);
      }
      const inOrder = [...fresh.values()].sort((a, b) => a.sequence - b.sequence);
      if (inOrder.reduce((sum, each) => sum + each.payload.length, received) < end)
        return undefined;
      received = end;
      sendOne([], tcpFlag.ack);
      return inOrder;
    });
  };
  return { synAck, echo };
}

const isn = 0x2000;

function syn(port: number, remotePort = forwardedPort): TcpHeader {
  return {
    sourcePort: port,
    destinationPort: remotePort,
    sequence: isn,
    acknowledgment: 0,
    flags: tcpFlag.syn,
    window: 65_000,
  };
}

function header(to: string): { readonly source: number; readonly destination: number } {
  return { source: address(peerIp), destination: address(to) };
}

function address(text: string): number {
  const parsed = parseIpv4Address(text);
  if (parsed === undefined) throw new Error(`no address: ${text}`);
  return parsed;
}
