// Writes docs/configuration.md from the schemas: npm run docs:configuration
import { writeFileSync } from "node:fs";
import { describeKeys, type KeyDescription } from "@culvert/config";
import { format } from "prettier";

const roles = [
  ["relay", "The relay (P3)", "deploy/config/relay.yaml"],
  ["server", "The end-server proxy (P4)", "deploy/config/server.yaml"],
  ["client", "The client proxy (P2)", "deploy/config/client.yaml"],
] as const;

/** The whole page, formatted as it is committed. */
export function configurationReference(): Promise<string> {
  const sections = roles.map(([role, title, example]) => {
    const rows = describeKeys(role).map(row).join("\n");
    return `## ${title}\n\nExample: [${example}](../${example})\n\n| key | what it is | expected | default | environment |\n| --- | --- | --- | --- | --- |\n${rows}`;
  });
  return format(`${introduction}\n\n${sections.join("\n\n")}\n`, {
    parser: "markdown",
    printWidth: 100,
  });
}

function row({
  path,
  doc,
  expected,
  default: fallback,
  required,
  variable,
}: KeyDescription): string {
  const otherwise = required ? "**required**" : fallback === undefined ? "none" : `\`${fallback}\``;
  return `| ${[`\`${path}\``, doc, expected, otherwise, `\`${variable}\``].map(cell).join(" | ")} |`;
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("\n", " ");
}

const introduction = `# Configuration

<!-- Made by \`npm run docs:configuration\` from the schemas; a test fails when it is out of date. -->

Files are YAML or JSON. Flags win over environment variables, and these over the file. Unknown keys are errors, with a
suggestion; all problems are reported at once, each with its path. Durations carry their unit (\`250ms\`, \`30s\`, \`2m\`), sizes
too (\`64KiB\`, \`4MiB\`). Relative paths count from the folder of the file. In an environment variable, lists and maps are
written as YAML or JSON. \`culvert check --config FILE\` validates a file and prints what is in force.`;

if (process.argv[1]?.endsWith("configuration-reference.ts") === true) {
  writeFileSync("docs/configuration.md", await configurationReference());
}
