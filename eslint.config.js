import js from "@eslint/js";
import tseslint from "typescript-eslint";

const ambientTime = [
  { name: "setTimeout", message: "take a Clock (S13)" },
  { name: "setInterval", message: "take a Clock (S13)" },
];
const ambientMembers = [
  { object: "Date", property: "now", message: "take a Clock (S13)" },
  { object: "performance", property: "now", message: "take a Clock (S13)" },
  { object: "Math", property: "random", message: "take a Random (S13)" },
  { object: "AbortSignal", property: "timeout", message: "fake clocks do not advance it (S13)" },
];

export default tseslint.config(
  { ignores: ["**/dist/", "packages/wire/src/gen/", "**/node_modules/"] },
  js.configs.recommended,
  tseslint.configs.strictTypeChecked,
  {
    languageOptions: {
      parserOptions: { project: ["./test/tsconfig.json"], tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      "max-lines": ["error", { max: 400, skipBlankLines: true, skipComments: true }],
      "@typescript-eslint/restrict-template-expressions": [
        "error",
        { allowNumber: true, allowBoolean: true },
      ],
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      "@typescript-eslint/consistent-type-imports": "error",
      "no-restricted-imports": [
        "error",
        { name: "node:timers/promises", message: "take a Clock (S13)" },
      ],
    },
  },
  {
    files: ["packages/*/src/**/*.ts"],
    ignores: ["packages/runtime/src/**", "packages/testkit/src/**", "**/*.test.ts"],
    rules: {
      "no-restricted-globals": ["error", ...ambientTime],
      "no-restricted-properties": ["error", ...ambientMembers],
    },
  },
  {
    files: ["packages/!(cli)/src/**/*.ts"],
    ignores: ["**/*.test.ts"],
    rules: {
      "no-restricted-properties": [
        "error",
        {
          object: "process",
          property: "exit",
          message: "only the composition root ends the process",
        },
        {
          object: "process",
          property: "env",
          message: "only the composition root reads the environment",
        },
      ],
    },
  },
  {
    files: ["packages/runtime/src/**/*.ts", "packages/testkit/src/**/*.ts"],
    rules: { "no-restricted-properties": "off" },
  },
  {
    files: ["**/*.test.ts", "test/**/*.ts", "scripts/**/*.ts"],
    rules: {
      "max-lines": "off",
      "@typescript-eslint/no-non-null-assertion": "off",
    },
  },
  {
    files: ["**/*.js", "**/*.mjs", "**/*.cjs"],
    extends: [tseslint.configs.disableTypeChecked],
    languageOptions: {
      globals: { process: "readonly", console: "readonly", URL: "readonly", module: "writable" },
    },
  },
);
