import { describe, expect, it } from "vitest";
import { endWithTest } from "../../support/temp-folder.ts";
import { within } from "../../support/wait.ts";
import { AgentProcess, frame, frameKind, type AgentFrame } from "./agent-process.ts";
import { faultCases, type Outcome } from "./fault-cases.ts";
import { ours, realProgram, type Program } from "./program.ts";

const real = realProgram();

/** What every agent of this generation says it can do, in this order. */
const features = [
  "loopback",
  "tcp",
  "http",
  "loopback.disable",
  "socks",
  "hostaliases",
  "etchosts",
  "routes",
  "dns",
];

for (const program of [ours, ...(real === undefined ? [] : [real])]) {
  describe(`faults given to the agent: ${program.name}`, () => {
    for (const fault of faultCases) {
      const outcome = program.name === "real" ? fault.real : (fault.ours ?? fault.real);
      it(fault.name, async () => {
        const agent = new AgentProcess(program);
        endWithTest(agent.child);
        agent.write(fault.input);
        if (fault.hangUp === true) agent.child.stdin.end();
        await expectOutcome(agent, program, outcome);
      });
    }
  });
}

async function expectOutcome(
  agent: AgentProcess,
  program: Program,
  outcome: Outcome,
): Promise<void> {
  const expected = [...(outcome.results ?? []), ...(outcome.errors ?? [])];
  if (outcome.then === "lives") {
    await agent.wrote(expected.length);
    if (outcome.says !== undefined) await agent.said(outcome.says);
    // A frame of an unknown type is told of and changes nothing: who tells of it has survived what came before.
    agent.write(frame(77, new Uint8Array()));
    await agent.said(/77/);
    await agent.hangUp();
  } else {
    const exit = await within(15_000, "end of the agent", agent.child.exited);
    expect(exit, agent.log).toEqual({ code: outcome.then.endsWith, signal: null });
    if (outcome.says !== undefined) expect(agent.log).toMatch(outcome.says);
  }
  // The process has ended, so this is all that it ever wrote. A refusal need not wait for the answer to an earlier request.
  const frames = [...agent.frames].sort((a, b) => Number(requestId(a)) - Number(requestId(b)));
  expect(frames.map(requestId), agent.log).toEqual(expected);
  for (const [index, each] of frames.entries()) {
    if (index < (outcome.results ?? []).length) expectResult(each, program);
    else expect(body(each)["error"], "the reason").toEqual(expect.stringMatching(/\w/));
  }
}

function expectResult(each: AgentFrame, program: Program): void {
  expect([each.kind, each.reserved]).toEqual([frameKind.json, 0]);
  const version = program.name === "real" ? "0.6.5+dev" : "0.6.5";
  // Byte for byte: the keys in this order, nothing between them.
  const text = `{"type":"result","body":{"request_id":${String(requestId(each))},"op":"configure","data":${JSON.stringify(
    { features, version },
  )}}}`;
  expect(each.payload.toString("utf8")).toBe(text);
}

function requestId(each: AgentFrame): unknown {
  return body(each)["request_id"];
}

function body(each: AgentFrame): Record<string, unknown> {
  const message = JSON.parse(each.payload.toString("utf8")) as {
    readonly body: Record<string, unknown>;
  };
  return message.body;
}
