/** Layers: entrances, exits and daemons -> transport -> quic, wire -> runtime. `cli` alone knows all daemons. */
const packagePath = (names) => `^packages/(${names})/`;

const partDoors = "relay/src/(web|telebit)";

module.exports = {
  forbidden: [
    { name: "no-cycles", severity: "error", from: {}, to: { circular: true } },
    {
      name: "runtime-is-the-bottom",
      severity: "error",
      from: { path: packagePath("runtime") },
      to: { path: "^packages/", pathNot: packagePath("runtime") },
    },
    {
      name: "wire-is-pure",
      comment: "codecs do no I/O and run anywhere",
      severity: "error",
      from: { path: packagePath("wire"), pathNot: "\\.test(-data)?\\.ts$" },
      to: { dependencyTypes: ["core"] },
    },
    {
      name: "wire-and-identity-stand-on-runtime",
      severity: "error",
      from: { path: packagePath("wire|identity|telemetry"), pathNot: "\\.test(-data)?\\.ts$" },
      to: { path: "^packages/", pathNot: packagePath("runtime|wire|identity|telemetry") },
    },
    {
      name: "netstack-stands-on-runtime",
      comment: "packets in, packets out: it knows neither what carries them nor who uses it",
      severity: "error",
      from: { path: packagePath("netstack"), pathNot: "\\.test(-data)?\\.ts$" },
      to: { path: "^packages/", pathNot: packagePath("runtime|netstack") },
    },
    {
      name: "quic-knows-no-session",
      severity: "error",
      from: { path: packagePath("quic"), pathNot: "\\.test(-data)?\\.ts$" },
      to: {
        path: packagePath(
          "transport|wire|relay|client-proxy|end-server-proxy|cli|config|telemetry",
        ),
      },
    },
    {
      name: "transport-knows-no-daemon",
      severity: "error",
      from: { path: packagePath("transport"), pathNot: "\\.test(-data)?\\.ts$" },
      to: { path: packagePath("relay|client-proxy|end-server-proxy|cli|config") },
    },
    {
      name: "daemons-do-not-know-each-other",
      severity: "error",
      from: {
        path: packagePath("relay|client-proxy|end-server-proxy"),
        pathNot: "\\.test(-data)?\\.ts$",
      },
      to: {
        path: packagePath("relay|client-proxy|end-server-proxy|cli|config|quic"),
        pathNot: "^packages/$1/",
      },
    },
    {
      name: "norouter-stands-on-netstack",
      severity: "error",
      from: { path: packagePath("norouter"), pathNot: "\\.test(-data)?\\.ts$" },
      to: {
        path: "^packages/",
        pathNot: packagePath("norouter|netstack|wire|runtime|telemetry"),
      },
    },
    {
      name: "testkit-stays-in-tests",
      severity: "error",
      from: { path: "^packages/", pathNot: "\\.test(-data)?\\.ts$|^packages/testkit/" },
      to: { path: packagePath("testkit") },
    },
    {
      name: "one-door",
      comment:
        "no deep imports into another package: its door, or one that its exports name for a part that many processes do without",
      severity: "error",
      from: { path: "^packages/([^/]+)/" },
      to: {
        path: "^packages/[^/]+/src/(?!index\\.ts$)",
        pathNot: ["^packages/$1/", `^packages/(${partDoors})/index\\.ts$`],
      },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules|dist" },
    exclude: { path: "(^|/)dist/|node_modules" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.base.json" },
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["@culvert/source", "import", "node", "default"],
      extensions: [".ts", ".js", ".json"],
    },
  },
};
