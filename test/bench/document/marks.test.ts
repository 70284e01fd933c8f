import { describe, expect, it } from "vitest";
import { fillPart } from "./marks.ts";

const section = { name: "growth", parts: ["connections", "servers"] };
const bare = "before\n<!-- measured: growth -->\n\nold\n\n<!-- end of growth -->\nafter\n";

describe("the marks of the document", () => {
  it("give way to those of the parts where a section has none yet", () => {
    const filled = fillPart(bare, section, "servers", "| new |\n");
    expect(filled).toMatch(/^before\n<!-- measured: growth -->\n/);
    expect(filled).toMatch(/\n<!-- end of growth -->\nafter\n$/);
    expect(filled).not.toContain("old");
    expect(filled).toMatch(
      /<!-- measured: growth\/connections -->\s+Not measured yet\.\s+<!-- end of growth\/connections -->/,
    );
    expect(filled).toMatch(
      /<!-- measured: growth\/servers -->\s+\| new \|\s+<!-- end of growth\/servers -->/,
    );
  });

  it("keep what other parts found, and nothing of what the same part found before", () => {
    const first = fillPart(bare, section, "servers", "servers 1");
    const second = fillPart(first, section, "connections", "connections 1");
    const third = fillPart(second, section, "servers", "servers 2");
    expect(third).toContain("connections 1");
    expect(third).toContain("servers 2");
    expect(third).not.toContain("servers 1");
    expect(fillPart(third, section, "servers", "servers 2")).toBe(third);
  });

  it("must be there: a document without them is not written over", () => {
    expect(() => fillPart("nothing\n", section, "servers", "x")).toThrow("no marks for growth");
  });
});
