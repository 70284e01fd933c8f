import { describe, expect, it, onTestFinished } from "vitest";
import { Child } from "./support/child.ts";
import { closedWithin, openLive, recovers, useEcho } from "./support/connections.ts";
import type { Role } from "./support/daemon.ts";
import { listening } from "./support/listening.ts";
import { connectTcp, echoOnce, ending, readExactly, TestServer } from "./support/tcp.ts";
import { useRunningTrial, useTrial, type Trial } from "./support/trial.ts";
import { timed, waitUntil, within } from "./support/wait.ts";

/** "At once", on a busy machine. */
const promptMs = 1_000;
/** A peer that says nothing any more is noticed within this. */
const silenceMs = 10_000;
/** Set as `drain` in the trials that stop a daemon under a living connection. */
const drainMs = 1_000;

describe("starting order", () => {
  it("client started before server: refused at once, then served", async () => {
    const trial = await useTrial();
    await useEcho(trial);
    await trial.start(["relay", "client"]);
    await waitUntil("client attached", async () => {
      return (await trial.status("client")).link.state === "attached";
    });
    await closedWithin(trial.listenPort, promptMs);
    expectRefusal(trial, "server_offline");
    await trial.start(["server"]);
    await recovers(trial.listenPort);
    await trial.quiet();
  });

  it("client and server started before the relay: P1 is closed at once, then served", async () => {
    const trial = await useTrial();
    await useEcho(trial);
    const client = trial.launch("client");
    const server = trial.launch("server");
    await listening(trial.listenPort);
    await closedWithin(trial.listenPort, promptMs);
    expect((await trial.status("client")).link.state).toBe("connecting");
    await trial.start(["relay"]);
    await Promise.all([client.ready(2_000), server.ready(2_000)]);
    await recovers(trial.listenPort);
    await trial.quiet();
  });
});

describe("restarts by SIGTERM, under a living connection", () => {
  it("server restarted", async () => {
    await restartUnderLoad(["server"]);
  });

  it("client restarted", async () => {
    await restartUnderLoad(["client"]);
  });

  it("relay restarted after server and client", async () => {
    await restartUnderLoad(["relay"]);
  });

  it("relay and then server restarted", async () => {
    await restartUnderLoad(["relay", "server"]);
  });

  it("relay and then client restarted", async () => {
    await restartUnderLoad(["relay", "client"]);
  });

  it("relay restarted with only the server attached, the client started last", async () => {
    const trial = await useTrial();
    await useEcho(trial);
    await trial.start(["relay", "server"]);
    await trial.restart("relay");
    await trial.start(["client"]);
    await recovers(trial.listenPort);
    await trial.quiet();
  });

  it("relay restarted with only the client attached, the server started last", async () => {
    const trial = await useTrial();
    await useEcho(trial);
    await trial.start(["relay", "client"]);
    await trial.restart("relay");
    await trial.start(["server"]);
    await recovers(trial.listenPort);
    await trial.quiet();
  });
});

describe("P1 goes away, P2 and P4 stay", () => {
  it("P1 ends its direction: the end server still answers, then both are closed", async () => {
    const trial = await useRunningTrial();
    // Answers only once its user has said everything: needs a half-close to come through.
    const server = await new TestServer((socket) => {
      let heard = 0;
      socket.on("data", (chunk: Buffer) => {
        heard += chunk.length;
      });
      socket.on("end", () => socket.end(`heard ${heard}\n`));
    }).listen(trial.targetPort);
    onTestFinished(() => server.close());
    const baseline = await trial.baseline();
    for (let round = 0; round < 50; round += 1) {
      const socket = await connectTcp(trial.listenPort);
      socket.end("x".repeat(10_000));
      const answer = await readExactly(socket, 12, 3_000, "the answer after the half-close");
      expect(answer.toString()).toBe("heard 10000\n");
      expect(await ending(socket, 3_000)).toBe("end");
      socket.destroy();
    }
    await trial.backTo(baseline);
    await expectClosed(trial, "finished", 50);
  });

  it("P1 resets: the end server sees a reset at once, and the daemons stay", async () => {
    const trial = await useRunningTrial();
    const endings: Promise<string>[] = [];
    const server = await new TestServer((socket) => {
      socket.write("welcome");
      endings.push(ending(socket, 3_000));
    }).listen(trial.targetPort);
    onTestFinished(() => server.close());
    const baseline = await trial.baseline();
    for (let round = 0; round < 50; round += 1) {
      const socket = await connectTcp(trial.listenPort);
      await readExactly(socket, 7, 3_000, "the welcome");
      socket.resetAndDestroy();
      const { value, tookMs } = await timed(() => endings.at(-1) ?? Promise.reject(new Error()));
      expect(value).toBe("reset");
      expect(tookMs).toBeLessThanOrEqual(promptMs);
    }
    await trial.backTo(baseline);
    await expectClosed(trial, "client", 50);
    for (const role of ["relay", "server", "client"] as const) {
      expect(trial.daemon(role).child.running, role).toBe(true);
    }
  });

  it("P5 resets: P1 sees a reset at once", async () => {
    const trial = await useRunningTrial();
    const server = await new TestServer((socket) => {
      socket.once("data", () => socket.resetAndDestroy());
    }).listen(trial.targetPort);
    onTestFinished(() => server.close());
    const baseline = await trial.baseline();
    for (let round = 0; round < 50; round += 1) {
      const socket = await connectTcp(trial.listenPort);
      socket.write("now");
      const { value, tookMs } = await timed(() => ending(socket, 3_000));
      expect(value).toBe("reset");
      expect(tookMs).toBeLessThanOrEqual(promptMs);
    }
    await trial.backTo(baseline);
    await expectClosed(trial, "server", 50);
  });
});

describe("killed with SIGKILL", () => {
  it("server, client and relay in turn, each started again at once", async () => {
    const trial = await useRunningTrial();
    await useEcho(trial);
    await echoOnce(trial.listenPort);
    const baseline = await trial.baseline();
    for (const role of ["server", "client", "relay"] as const) {
      const live = await openLive(trial.listenPort);
      const over = ending(live, silenceMs);
      await trial.daemon(role).kill();
      await trial.startOne(role);
      const tookMs = await recovers(trial.listenPort);
      console.log(`${role} killed and started: next good connection after ${ms(tookMs)}`);
      const how = await over;
      // The kernel closes a killed client's sockets; whatever else is cut must look cut.
      if (role !== "client") expect(how, `P1 after the kill of the ${role}`).toBe("reset");
      await trial.backTo(baseline);
    }
  });

  it("relay killed and away: P1 is closed within 10 s, new ones at once, back within 2 s", async () => {
    const trial = await useRunningTrial();
    await useEcho(trial);
    const baseline = await trial.baseline();
    const live = await openLive(trial.listenPort);
    await trial.daemon("relay").kill();
    const { value, tookMs } = await timed(() => ending(live, silenceMs));
    expect(value).toBe("reset");
    console.log(`relay killed: P1 closed after ${ms(tookMs)}`);
    await closedWithin(trial.listenPort, promptMs);
    const client = await trial.status("client");
    expect(client.link.state).toBe("connecting");
    expect(client.link.lastError).toMatch(/\w/);
    expectRefusal(trial, "no_session", "client");
    await trial.startOne("relay");
    await recovers(trial.listenPort);
    await trial.backTo(baseline);
  });

  it("server killed and away: P1 is closed within 10 s, new ones refused, back within 2 s", async () => {
    const trial = await useRunningTrial();
    await useEcho(trial);
    const baseline = await trial.baseline();
    const live = await openLive(trial.listenPort);
    await trial.daemon("server").kill();
    const { value, tookMs } = await timed(() => ending(live, silenceMs));
    expect(value).toBe("reset");
    console.log(`server killed: P1 closed after ${ms(tookMs)}`);
    await closedWithin(trial.listenPort, promptMs);
    expectRefusal(trial, "server_offline");
    await trial.startOne("server");
    await recovers(trial.listenPort);
    await trial.backTo(baseline);
  });
});

describe("frozen with SIGSTOP", () => {
  it("relay frozen: P1s are closed within 10 s, later ones at once; resumed: served within 2 s", async () => {
    const trial = await useRunningTrial();
    await useEcho(trial);
    const baseline = await trial.baseline();
    const live = await openLive(trial.listenPort);
    const relay = trial.daemon("relay");
    relay.freeze();
    const frozen = await timed(() =>
      Promise.all([ending(live, silenceMs), closedWithin(trial.listenPort, silenceMs)]),
    );
    expect(frozen.value[0]).toBe("reset");
    console.log(`relay frozen: both P1s closed after ${ms(frozen.tookMs)}`);
    await closedWithin(trial.listenPort, promptMs);
    relay.resume();
    const tookMs = await recovers(trial.listenPort);
    console.log(`relay resumed: next good connection after ${ms(tookMs)}`);
    await trial.backTo(baseline);
  });

  it("relay frozen for one second: living connections go on", async () => {
    const trial = await useRunningTrial();
    await useEcho(trial);
    const live = await openLive(trial.listenPort);
    const relay = trial.daemon("relay");
    relay.freeze();
    live.write("still there?");
    const answer = readExactly(live, 12, 5_000, "the echo after the pause");
    await expect(within(1_000, "nothing", answer)).rejects.toThrow("not within");
    relay.resume();
    expect((await answer).toString()).toBe("still there?");
  });

  it("server frozen: P1s are closed within 10 s; resumed: served within 2 s", async () => {
    const trial = await useRunningTrial();
    await useEcho(trial);
    const baseline = await trial.baseline();
    const live = await openLive(trial.listenPort);
    const server = trial.daemon("server");
    server.freeze();
    const { value } = await timed(() =>
      Promise.all([ending(live, silenceMs), closedWithin(trial.listenPort, silenceMs)]),
    );
    expect(value[0]).toBe("reset");
    await closedWithin(trial.listenPort, promptMs);
    expectRefusal(trial, "server_offline");
    server.resume();
    await recovers(trial.listenPort);
    await trial.backTo(baseline);
  });
});

describe("refusals, fifty of each", () => {
  it("target port closed", async () => {
    const trial = await useRunningTrial();
    await refusedFiftyTimes(trial, "target_refused");
    await useEcho(trial);
    await recovers(trial.listenPort);
  });

  it("server offline", async () => {
    const trial = await useTrial();
    await useEcho(trial);
    await trial.start(["relay", "client"]);
    await refusedFiftyTimes(trial, "server_offline");
    await trial.start(["server"]);
    await recovers(trial.listenPort);
  });

  it("client not granted", async () => {
    const trial = await useTrial();
    await useEcho(trial);
    let grants: unknown;
    await trial.edit("relay", (config) => {
      grants = config["grants"];
      config["grants"] = [];
    });
    await trial.start();
    await refusedFiftyTimes(trial, "permission_denied_by_relay");
    expect(trial.daemon("server").named("server.connection.refused")).toEqual([]);
    await trial.edit("relay", (config) => {
      config["grants"] = grants;
    });
    await trial.restart("relay");
    await recovers(trial.listenPort);
  });

  it("server refuses what the relay allowed", async () => {
    const trial = await useTrial();
    await useEcho(trial);
    let allow: unknown;
    await trial.edit("server", (config) => {
      allow = config["allow"];
      config["allow"] = [];
    });
    await trial.start();
    await refusedFiftyTimes(trial, "permission_denied_by_server");
    await trial.edit("server", (config) => {
      config["allow"] = allow;
    });
    await trial.restart("server");
    await recovers(trial.listenPort);
  });

  it("target black-holed: closed when the server's time-out is over", async () => {
    const trial = await useRunningTrial();
    const baseline = await trial.baseline();
    const hole = await blackHole(trial.targetPort);
    const tookMs = await closedWithin(trial.listenPort, 13_000);
    expect(tookMs).toBeGreaterThan(1_000);
    console.log(`black-holed target: closed after ${ms(tookMs)}`);
    expectRefusal(trial, "target_timeout");
    await trial.backTo(baseline);
    await hole.end();
    await useEcho(trial);
    await recovers(trial.listenPort);
  });
});

/** Stops and starts the daemons named, one after the other, while a connection is open, and looks at everything afterwards. */
async function restartUnderLoad(which: readonly Role[]): Promise<void> {
  const trial = await useTrial();
  await useEcho(trial);
  for (const role of ["relay", "server", "client"] as const) {
    await trial.edit(role, (config) => {
      config["drain"] = `${drainMs}ms`;
    });
  }
  await trial.start();
  await trial.attached();
  await echoOnce(trial.listenPort);
  const baseline = await trial.baseline();
  const live = await openLive(trial.listenPort);
  const over = timed(() => ending(live, drainMs + promptMs + 2_000));
  for (const role of which) {
    const stopped = await timed(() => trial.daemon(role).stop());
    expect(stopped.value, `${role} ends well`).toEqual({ code: 0, signal: null });
    expect(stopped.tookMs, "drain").toBeLessThanOrEqual(drainMs + promptMs);
    await trial.startOne(role);
  }
  const tookMs = await recovers(trial.listenPort);
  console.log(`${which.join(", ")} restarted: next good connection after ${ms(tookMs)}`);
  expect((await over).tookMs, "P1's close").toBeLessThanOrEqual(drainMs + promptMs);
  await trial.backTo(baseline);
}

async function refusedFiftyTimes(trial: Trial, status: string): Promise<void> {
  await closedWithin(trial.listenPort, promptMs);
  const baseline = await trial.baseline();
  for (let round = 0; round < 50; round += 1) await closedWithin(trial.listenPort, promptMs);
  expectRefusal(trial, status);
  await trial.backTo(baseline);
}

/** The last refusal in the log has this status, and it is on record at the relay (or the client, where it alone decides). */
function expectRefusal(trial: Trial, status: string, role: "relay" | "client" = "relay"): void {
  const last = trial.daemon(role).named(`${role}.connection.refused`).at(-1);
  expect(last).toMatchObject({ status });
  const atClient = trial.daemon("client").named("client.connection.refused").at(-1);
  expect(atClient).toMatchObject({ status });
}

/** Exactly so many connections are on record at the relay as closed, each with its four identifiers, and blamed like this. */
async function expectClosed(trial: Trial, cause: string, count: number): Promise<void> {
  const named = () => trial.daemon("relay").named("relay.connection.closed");
  // Lines of the log are gathered for a moment before they are written.
  await waitUntil(`${count} closed connections in the log`, () => named().length >= count);
  const closed = named();
  expect(closed).toHaveLength(count);
  for (const event of closed) {
    expect(event).toMatchObject({
      cause,
      client: "laptop",
      server: "lan-box",
      target: String(trial.targetPort),
      trace: expect.stringMatching(/^[0-9a-f]{32}$/) as string,
    });
    expect(event["clientPort"]).toBeGreaterThan(0);
    expect(event["durationMs"]).toBeGreaterThanOrEqual(0);
  }
}

/** A listener that takes no connection any more: the process is frozen and its queue is full, so that a SYN gets no answer. */
async function blackHole(port: number): Promise<Child> {
  const program = `require("node:net").createServer().listen({port:${port},host:"127.0.0.1",backlog:1})`;
  const child = new Child(process.execPath, ["-e", program]);
  onTestFinished(async () => {
    await child.end();
  });
  await listening(port);
  child.signal("SIGSTOP");
  for (;;) {
    const socket = await connectTcp(port, 500).catch(() => undefined);
    if (socket === undefined) return child;
    onTestFinished(() => {
      socket.destroy();
    });
  }
}

function ms(duration: number): string {
  return `${Math.round(duration)} ms`;
}
