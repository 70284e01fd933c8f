import { createSocket, type Socket } from "node:dgram";
import { createServer } from "node:net";
import { decode, encode, type Packet } from "dns-packet";
import fc from "fast-check";
import { describe, expect, it, onTestFinished } from "vitest";
import { systemClock, systemRandom, WireError } from "@culvert/runtime";
import { silentLog } from "@culvert/telemetry";
import { duplexPair, waitUntil } from "@culvert/testkit";
import { osDial } from "../net/os-dial.ts";
import { listening } from "../proxy/proxy-fixture.test-data.ts";
import { agentDefaults } from "../agent-defaults.ts";
import { askUpstream } from "./ask-upstream.ts";
import { DnsAnswerer } from "./dns-answerer.ts";
import { DnsFramer, framedDns } from "./dns-framer.ts";
import { codeAnswer, decodeDns, DnsCode } from "./dns-message.ts";
import { DnsTcpService } from "./dns-tcp-service.ts";
import { DnsUdpListener } from "./dns-udp-listener.ts";
import { meshQuery } from "./mesh-query.ts";
import { parseResolvConf, systemDnsServers } from "./resolv-conf.ts";
import { udpAnswer } from "./udp-answer.ts";

const hex = (text: string): Uint8Array => Buffer.from(text, "hex");
const hostnameMap = new Map([["Host1", "127.0.42.101"]]);

function query(name: string, type: "A" | "AAAA" = "A", id = 0x1234, flags = 0x0100): Buffer {
  return encode({ type: "query", id, flags, questions: [{ type, name }] });
}

function answerTo(bytes: Uint8Array, ips: readonly string[], more: Partial<Packet> = {}): Buffer {
  const { id = 0, questions = [] } = decodeDns(bytes);
  const answers = ips.map((data) => ({
    type: "A" as const,
    name: questions[0]?.name ?? "",
    ttl: 60,
    data,
  }));
  return encode({ type: "response", id, questions, answers, ...more });
}

function answererOf(askUpstream: (query: Uint8Array) => Promise<Uint8Array>) {
  const answered: [string, readonly string[]][] = [];
  const onAnswered = (name: string, ips: readonly string[]): void =>
    void answered.push([name, ips]);
  const deps = { log: silentLog, askUpstream, onAnswered };
  return { answerer: new DnsAnswerer(deps, hostnameMap), answered };
}
const nobody = () => Promise.reject(new Error("nobody is to be asked"));

describe("DnsAnswerer", () => {
  it("names a host byte for byte as the original", async () => {
    const { answerer } = answererOf(nobody);
    const answer = await answerer.answer(query("host1"));
    expect(Buffer.from(framedDns(answer!)).toString("hex")).toBe(
      "002c12348100000100010000000005686f737431000001000105686f73743100000100010000000000047f002a65",
    );
  });

  it("names it in any case, as it was asked, and without recursion where none was asked", async () => {
    const { answerer } = answererOf(nobody);
    const answer = decode(Buffer.from((await answerer.answer(query("hOST1", "A", 1, 0)))!));
    expect(answer).toMatchObject({
      id: 1,
      flag_rd: false,
      rcode: "NOERROR",
      answers: [{ name: "hOST1", type: "A", ttl: 0, data: "127.0.42.101" }],
    });
  });

  it("has no IPv6 address for it, but does not deny it", async () => {
    const { answerer } = answererOf(nobody);
    const answer = decode(Buffer.from((await answerer.answer(query("host1", "AAAA")))!));
    expect(answer).toMatchObject({ rcode: "NOERROR", answers: [] });
  });

  it("hands everything else on byte for byte, and tells the addresses", async () => {
    const asked: Uint8Array[] = [];
    const { answerer, answered } = answererOf((bytes) => {
      asked.push(bytes);
      return Promise.resolve(answerTo(bytes, ["10.0.0.1"]));
    });
    const question = query("a.corp.example");
    const answer = await answerer.answer(question);
    expect(asked).toEqual([question]);
    expect(answer).toEqual(answerTo(question, ["10.0.0.1"]));
    expect(answered).toEqual([["a.corp.example", ["10.0.0.1"]]]);
  });

  it("says so where nobody answers, with the question in it", async () => {
    const { answerer } = answererOf(nobody);
    const answer = decode(Buffer.from((await answerer.answer(query("x.example")))!));
    expect(answer).toMatchObject({
      id: 0x1234,
      rcode: "SERVFAIL",
      questions: [{ name: "x.example" }],
    });
  });

  it("works at a bounded number of questions", async () => {
    const ends: (() => void)[] = [];
    const { answerer } = answererOf(
      (bytes) => new Promise((resolve) => ends.push(() => resolve(answerTo(bytes, [])))),
    );
    const waiting = Array.from({ length: agentDefaults.maxDnsQueries }, (_, id) =>
      answerer.answer(query("x.example", "A", id)),
    );
    const refused = decode(Buffer.from((await answerer.answer(query("y.example")))!));
    expect(refused).toMatchObject({ rcode: "SERVFAIL" });
    for (const end of ends) end();
    expect(await Promise.all(waiting)).toHaveLength(agentDefaults.maxDnsQueries);
    expect(ends).toHaveLength(agentDefaults.maxDnsQueries);
  });

  it("answers no answer, and nothing shorter than a header", async () => {
    const { answerer } = answererOf(nobody);
    expect(await answerer.answer(answerTo(query("host1"), []))).toBeUndefined();
    expect(await answerer.answer(hex("1234"))).toBeUndefined();
  });

  it("answers whatever bytes come with something readable or nothing", async () => {
    const { answerer } = answererOf(nobody);
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 100 }), async (bytes) => {
        const answer = await answerer.answer(bytes);
        if (answer === undefined) return;
        const { id, flag_qr: isResponse } = decodeDns(answer) as { id?: number; flag_qr?: boolean };
        expect(isResponse).toBe(true);
        expect(id).toBe((bytes[0] ?? 0) * 256 + (bytes[1] ?? 0));
      }),
    );
  });
});

describe("messages", () => {
  it("any bytes are read, or refused with a WireError", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          decodeDns(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(WireError);
        }
      }),
    );
  });

  it("a code is told to a query that cannot be read, without its question", () => {
    const broken = Uint8Array.from([...query("host1").subarray(0, 14)]);
    const answer = codeAnswer(broken, DnsCode.serverFailure);
    expect(decodeDns(answer!)).toMatchObject({ id: 0x1234, questions: [] });
  });

  it("a stream of them is cut the same in any pieces", () => {
    const messages = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 5 });
    fc.assert(
      fc.property(messages, fc.array(fc.nat()), (all, cuts) => {
        const bytes = Buffer.concat(all.map(framedDns));
        const framer = new DnsFramer();
        const at = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b)];
        const got = [...at.keys()].flatMap((index) =>
          framer.push(bytes.subarray(at[index], at[index + 1] ?? bytes.length)),
        );
        expect(got.map((one) => Buffer.from(one))).toEqual(all.map((one) => Buffer.from(one)));
      }),
    );
  });

  it("one that is too long for UDP is cut, unless the client takes more", async () => {
    const ips = Array.from({ length: 60 }, (_, at) => `10.0.0.${at}`);
    const question = query("many.example");
    const cut = await udpAnswer(question, (bytes) => Promise.resolve(answerTo(bytes, ips)));
    expect(decodeDns(cut!)).toMatchObject({
      flag_tc: true,
      answers: [],
      questions: [{ name: "many.example" }],
    });
    const generous = encode({
      type: "query",
      id: 1,
      questions: [{ type: "A", name: "many.example" }],
      additionals: [
        {
          type: "OPT",
          name: ".",
          udpPayloadSize: 4096,
          extendedRcode: 0,
          ednsVersion: 0,
          flags: 0,
          flag_do: false,
          options: [],
        },
      ],
    });
    const whole = await udpAnswer(generous, (bytes) => Promise.resolve(answerTo(bytes, ips)));
    expect(decodeDns(whole!).answers).toHaveLength(60);
  });
});

it("resolv.conf: servers in order, anything else left out", async () => {
  const text =
    "# x\nsearch a.example\nnameserver 10.0.0.1\n nameserver\tfe80::1%eth0\nnameserver nonsense\n";
  expect(parseResolvConf(text)).toEqual(["10.0.0.1", "fe80::1"]);
  expect(await systemDnsServers("/nonexistent")).toEqual(["8.8.8.8", "1.1.1.1"]);
});

describe("asking the system's servers", () => {
  /** A DNS server of UDP that answers as told, and one of TCP at the same port. */
  async function server(
    byUdp: (query: Buffer) => Uint8Array | undefined,
    byTcp?: (query: Uint8Array) => Uint8Array,
  ) {
    const tcp = createServer((stream) => {
      const framer = new DnsFramer();
      stream.on("error", () => undefined);
      stream.on("data", (chunk) => {
        for (const message of framer.push(chunk)) {
          if (byTcp !== undefined) stream.write(framedDns(byTcp(message)));
        }
      });
    });
    // A port that the many connections of other tests leave free; of UDP there are few.
    const port = byTcp === undefined ? 0 : await listening(tcp);
    const socket = createSocket("udp4");
    onTestFinished(() => void socket.close());
    await new Promise<void>((resolve) => socket.bind(port, "127.0.0.1", resolve));
    socket.on("message", (bytes, from) => {
      const answer = byUdp(bytes);
      if (answer !== undefined) socket.send(answer, from.port, from.address);
    });
    return { address: "127.0.0.1", port: socket.address().port };
  }
  const question = query("x.example");
  const addressOf = (answer: Uint8Array): unknown =>
    decodeDns(answer).answers?.map((record) => (record.type === "A" ? record.data : ""));

  it("takes the first that answers, and no packet of another question", async () => {
    const silent = await server(() => undefined);
    const good = await server((bytes) => answerTo(bytes, ["10.0.0.1"]));
    const wrong = await server(() => answerTo(query("x.example", "A", 0x4321), ["10.0.0.9"]));
    const answer = await askUpstream(question, [silent, wrong, good], systemClock);
    expect(addressOf(answer)).toEqual(["10.0.0.1"]);
  });

  it("asks by TCP what UDP cuts", async () => {
    const cutting = await server(
      (bytes) => answerTo(bytes, [], { flags: 0x0200 }),
      (bytes) => answerTo(bytes, ["10.0.0.2"]),
    );
    expect(addressOf(await askUpstream(question, [cutting], systemClock))).toEqual(["10.0.0.2"]);
  });

  it("fails where nobody answers", async () => {
    const gone = await server(() => undefined);
    const expired = {
      ...systemClock,
      setTimer: (_delay: unknown, callback: () => void) => {
        const handle = setImmediate(callback);
        return { cancel: () => clearImmediate(handle) };
      },
    };
    await expect(askUpstream(question, [gone], expired)).rejects.toMatchObject({
      code: "dial_failed",
    });
    await expect(askUpstream(question, [], systemClock)).rejects.toMatchObject({
      code: "dial_failed",
    });
  });
});

describe("serving", () => {
  it("on a connection: several questions, in order, to its end", async () => {
    const { answerer } = answererOf((bytes) => Promise.resolve(answerTo(bytes, ["10.0.0.1"])));
    const [client, stream] = duplexPair();
    new DnsTcpService(answerer, systemClock).serve(stream);
    client.end(
      Buffer.concat([framedDns(query("x.example", "A", 1)), framedDns(query("host1", "A", 2))]),
    );
    const framer = new DnsFramer();
    const answers: Uint8Array[] = [];
    for await (const chunk of client as AsyncIterable<Uint8Array>)
      answers.push(...framer.push(chunk));
    expect(answers.map((answer) => decodeDns(answer).id)).toEqual([1, 2]);
  });

  it("on a connection that says nothing, to its deadline", async () => {
    const timers: (() => void)[] = [];
    const clock = {
      ...systemClock,
      setTimer: (_delay: unknown, callback: () => void) => {
        timers.push(callback);
        return { cancel: () => undefined };
      },
    };
    const [client, stream] = duplexPair();
    new DnsTcpService(answererOf(nobody).answerer, clock).serve(stream);
    const closed = new Promise((resolve) => client.on("close", resolve).resume());
    timers[0]!();
    await closed;
  });

  it("by UDP, for as long as it is open", async () => {
    const { answerer } = answererOf(nobody);
    const listener = await DnsUdpListener.open({
      address: "127.0.0.1",
      port: 0,
      log: silentLog,
      answer: (bytes) => answerer.answer(bytes),
    });
    const port = Number(listener.address.split(":")[1]);
    await expect(
      DnsUdpListener.open({ address: "127.0.0.1", port, log: silentLog, answer: nobody }),
    ).rejects.toMatchObject({ code: "address_in_use" });
    const client: Socket = createSocket("udp4");
    onTestFinished(() => void client.close());
    const answered = new Promise<Buffer>((resolve) => client.once("message", resolve));
    client.send(query("host1"), port, "127.0.0.1");
    expect(decode(await answered).answers).toMatchObject([{ data: "127.0.42.101" }]);
    listener.close();
  });
});

describe("asking the DNS of another host", () => {
  const via = "127.0.42.150";
  async function asking(answer: (query: Uint8Array) => Uint8Array) {
    const server = createServer((stream) => {
      const framer = new DnsFramer();
      stream.on("error", () => undefined);
      stream.on("data", (chunk) => {
        for (const message of framer.push(chunk)) stream.end(framedDns(answer(message)));
      });
    });
    onTestFinished(() => void server.close());
    await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    const dialled: string[] = [];
    const deps = {
      clock: systemClock,
      random: systemRandom,
      nameServers: [{ ip: via, port: 10_053, proto: "tcp" }],
      dialMesh: (ip: string, meshPort: number, signal: AbortSignal) => {
        dialled.push(`${ip}:${meshPort}`);
        return osDial("127.0.0.1", port, {
          clock: systemClock,
          limit: agentDefaults.dialTimeout,
          signal,
        });
      },
    };
    return { deps, dialled };
  }

  it("takes all its IPv4 addresses", async () => {
    const { deps, dialled } = await asking((bytes) => {
      expect(decode(Buffer.from(bytes))).toMatchObject({
        flag_rd: true,
        questions: [{ name: "a.corp.example", type: "A" }],
      });
      return answerTo(bytes, ["10.0.0.1", "10.0.0.2"]);
    });
    expect(await meshQuery(deps, via, "a.corp.example")).toEqual(["10.0.0.1", "10.0.0.2"]);
    expect(dialled).toEqual([`${via}:10053`]);
  });

  it.each([
    ["no DNS of that host", "127.0.42.7", undefined, "name_not_found"],
    ["an answer that is none", via, (bytes: Uint8Array) => bytes.slice(0, 5), "malformed_message"],
    ["an answer to another question", via, () => hex("ffff8100"), "connection_closed"],
  ])("%s", async (_what, host, answer, code) => {
    const { deps } = await asking(answer ?? ((bytes) => bytes));
    await expect(meshQuery(deps, host, "a.corp.example")).rejects.toMatchObject({ code });
  });
});

it("who asks and does not read is answered only as far as its buffer goes", async () => {
  let asked = 0;
  const { answerer } = answererOf((bytes) => {
    asked += 1;
    return Promise.resolve(answerTo(bytes, Array<string>(60).fill("10.0.0.1")));
  });
  const [client, stream] = duplexPair();
  new DnsTcpService(answerer, systemClock).serve(stream);
  const questions = Array.from({ length: 2_000 }, (_, id) =>
    framedDns(query("x.example", "A", id)),
  );
  client.end(Buffer.concat(questions));
  await waitUntil(() => stream.writableNeedDrain, { what: "a full buffer" });
  expect(asked).toBeLessThan(500);
  let answers = 0;
  const framer = new DnsFramer();
  for await (const chunk of client as AsyncIterable<Uint8Array>)
    answers += framer.push(chunk).length;
  expect(answers).toBe(2_000);
});
