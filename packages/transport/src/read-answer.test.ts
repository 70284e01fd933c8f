import { systemClock, millis, TransportError } from "@culvert/runtime";
import { duplexPair } from "@culvert/testkit";
import { Status, type Answer } from "@culvert/wire";
import { describe, expect, it } from "vitest";
import { readAnswer } from "./read-answer.ts";
import { writeTip } from "./tip-io.ts";

const answer: Answer = {
  kind: "answer",
  status: Status.target_refused,
  text: "no",
  limit: "",
  inner: new Uint8Array([1]),
};
const options = { clock: systemClock, deadline: millis(3_000) };

function pair(): ReturnType<typeof duplexPair> {
  const ends = duplexPair();
  for (const end of ends) end.on("error", () => undefined);
  return ends;
}

describe("readAnswer", () => {
  it("gives the answer as it was said", async () => {
    const [near, far] = pair();
    writeTip(far, answer);
    expect(await readAnswer(near, options)).toEqual(answer);
  });

  it.each(["stream_reset", "stream_stopped"] as const)(
    "takes a %s ahead of any answer for ok, since no refusal ends with one",
    async (code) => {
      const [near] = pair();
      const reading = readAnswer(near, options);
      near.destroy(new TransportError(code, "the peer did it"));
      expect(await reading).toMatchObject({ kind: "answer", status: Status.ok });
      expect((await readAnswer(near, options)).inner).toHaveLength(0);
    },
  );

  it("takes nothing else for an answer: a lost session, an end of ours, an abort, another tip", async () => {
    const [lost] = pair();
    lost.destroy(new TransportError("connection_closed", "the session is over"));
    await expect(readAnswer(lost, options)).rejects.toMatchObject({ code: "connection_closed" });
    const [ours] = pair();
    ours.destroy();
    await expect(readAnswer(ours, options)).rejects.toMatchObject({ code: "stream_reset" });
    const [left] = pair();
    const signal = AbortSignal.abort(new TransportError("stream_reset", "the client left"));
    await expect(readAnswer(left, { ...options, signal })).rejects.toMatchObject({
      code: "aborted",
    });
    const [odd, far] = pair();
    writeTip(far, {
      kind: "attachAnswer",
      status: Status.ok,
      text: "",
      name: "laptop",
      software: "",
      capabilities: [],
    });
    await expect(readAnswer(odd, options)).rejects.toMatchObject({ code: "unexpected_message" });
  });
});
