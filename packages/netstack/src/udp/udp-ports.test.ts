import { describe, expect, test } from "vitest";
import { seededRandom } from "@culvert/testkit";
import { decodeIpv4, encodeUdp, parseIpv4Address, type Ipv4Packet } from "../packet/index.ts";
import { UdpPorts, type ReceivedDatagram } from "./udp-ports.ts";

const here = 0x7f002a65;
const also = 0x7f002a66;
const there = 0x7f002a64;

describe("UDP ports", () => {
  test("a datagram reaches the socket of its port, and an answer the asker", () => {
    const { ports, sent } = setUp();
    const got: ReceivedDatagram[] = [];
    const socket = ports.bind({ address: "127.0.42.101", port: 53 }, (datagram) =>
      got.push(datagram),
    );
    expect(ports.receive(datagramTo(here, 53, "question"))).toBeUndefined();
    expect(got).toEqual([
      {
        payload: Buffer.from("question"),
        remote: { address: "127.0.42.100", port: 4000 },
        local: { address: "127.0.42.101", port: 53 },
      },
    ]);
    expect(socket.send(got[0]!.remote, Buffer.from("answer"))).toBe(true);
    expect(sent[0]).toMatchObject({ source: here, destination: there, protocol: 17 });
    expect(Buffer.from(sent[0]!.payload.subarray(8)).toString()).toBe("answer");
  });

  test("a socket of one address goes before one of all addresses", () => {
    const { ports } = setUp();
    const got: string[] = [];
    ports.bind({ address: "0.0.0.0", port: 53 }, () => got.push("all"));
    const one = ports.bind({ address: "127.0.42.101", port: 53 }, () => got.push("one"));
    ports.receive(datagramTo(here, 53));
    ports.receive(datagramTo(also, 53));
    one.close();
    ports.receive(datagramTo(here, 53));
    expect(got).toEqual(["one", "all", "all"]);
  });

  test("a socket of all addresses takes nothing sent to others'", () => {
    const { ports } = setUp();
    ports.bind({ address: "0.0.0.0", port: 53 }, () => expect.unreachable());
    expect(ports.receive(datagramTo(there, 53))).toBe("no_port");
  });

  test("a socket of all addresses answers from the one that was asked", () => {
    const { ports, sent } = setUp();
    const remote = { address: "127.0.42.100", port: 9 };
    const socket = ports.bind({ address: "0.0.0.0", port: 53 }, () => undefined);
    expect(socket.send(remote, empty, "127.0.42.102")).toBe(true);
    expect(socket.send(remote, empty)).toBe(true);
    expect(socket.send(remote, empty, "127.0.42.100")).toBe(false);
    expect(sent.map(({ source }) => source)).toEqual([also, here]);
  });

  test("port 0 is a free one, until none is left", () => {
    const { ports } = setUp();
    const seen = new Set<number>();
    for (let count = 0; count < 16_384; count++) {
      seen.add(ports.bind({ address: "127.0.42.101", port: 0 }, () => undefined).local.port);
    }
    expect(seen.size).toBe(16_384);
    expect(Math.min(...seen)).toBe(49_152);
    expect(() => ports.bind({ address: "127.0.42.101", port: 0 }, () => undefined)).toThrow(
      expect.objectContaining({ code: "address_in_use" }),
    );
  });

  test.each([
    ["a taken port", { address: "127.0.42.101", port: 53 }, "address_in_use"],
    ["a foreign address", { address: "127.0.42.100", port: 53 }, "address_unavailable"],
    ["no address", { address: "localhost", port: 53 }, "bad_address"],
    ["no port", { address: "127.0.42.101", port: 65_536 }, "bad_address"],
  ])("%s cannot be bound", (_, local, code) => {
    const { ports } = setUp();
    ports.bind({ address: "127.0.42.101", port: 53 }, () => undefined);
    expect(() => ports.bind(local, () => undefined)).toThrow(expect.objectContaining({ code }));
  });

  test("what is too long, or of a closed socket, is counted and not sent", () => {
    const { ports, sent } = setUp();
    const remote = { address: "127.0.42.100", port: 9 };
    const socket = ports.bind({ address: "127.0.42.101", port: 53 }, () => undefined);
    expect(socket.send(remote, new Uint8Array(1472))).toBe(true);
    expect(socket.send(remote, new Uint8Array(1473))).toBe(false);
    socket.close();
    socket.close();
    expect(socket.send(remote, empty)).toBe(false);
    expect(sent).toHaveLength(1);
    expect(ports.counters).toMatchObject({ sent: 1, notSent: 2 });
  });

  test("closing a socket twice does not close its successor", () => {
    const { ports } = setUp();
    const local = { address: "127.0.42.101", port: 53 };
    const first = ports.bind(local, () => undefined);
    first.close();
    ports.bind(local, () => undefined);
    first.close();
    expect(ports.size).toBe(1);
    ports.close();
    expect(ports.size).toBe(0);
  });

  test("a socket hears that nobody takes its datagrams", () => {
    const { ports } = setUp();
    const heard: unknown[] = [];
    ports.bind({ address: "127.0.42.101", port: 53 }, () => undefined, {
      onUnreachable: (remote, code) => heard.push([remote, code]),
    });
    const quoted = {
      source: here,
      destination: there,
      protocol: 17,
      sourcePort: 53,
      destinationPort: 9,
      sequence: 0,
    };
    ports.unreachable(quoted, 3);
    ports.unreachable({ ...quoted, sourcePort: 54 }, 3);
    expect(heard).toEqual([[{ address: "127.0.42.100", port: 9 }, 3]]);
  });

  test("a damaged datagram is a fault", () => {
    const { ports } = setUp();
    ports.bind({ address: "127.0.42.101", port: 53 }, () => expect.unreachable());
    const packet = datagramTo(here, 53, "question");
    packet.payload[9] = 0;
    expect(ports.receive(packet)).toBe("bad_transport_checksum");
  });
});

const empty = new Uint8Array(0);

function setUp() {
  const sent: Ipv4Packet[] = [];
  const ports = new UdpPorts({
    random: seededRandom(1),
    output: (packet) => sent.push(whole(packet)),
    isOwnAddress: (address) => address === here || address === also,
    defaultSource: () => parseIpv4Address("127.0.42.101"),
    mtu: 1500,
  });
  return { ports, sent };
}

function datagramTo(destination: number, destinationPort: number, text = ""): Ipv4Packet {
  const ip = { source: there, destination };
  return whole(encodeUdp(ip, { sourcePort: 4000, destinationPort }, Buffer.from(text)));
}

function whole(packet: Uint8Array): Ipv4Packet {
  const read = decodeIpv4(packet);
  if (typeof read === "string") throw new Error(read);
  return read;
}
