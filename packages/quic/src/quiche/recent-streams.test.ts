import { expect, test } from "vitest";
import { RecentStreams } from "./recent-streams.ts";

test("the last sixteen are remembered, each once, without those that are over", () => {
  const recent = new RecentStreams();
  for (let streamId = 0; streamId < 80; streamId += 4) recent.note(streamId);
  recent.note(76);
  expect([...recent]).toEqual(Array.from({ length: 16 }, (_, index) => 16 + 4 * index));
  recent.forget(20);
  recent.note(80);
  expect([...recent]).toEqual([16, ...Array.from({ length: 15 }, (_, index) => 24 + 4 * index)]);
});
