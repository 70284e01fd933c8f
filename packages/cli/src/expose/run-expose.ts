import {
  loadServerConfig,
  type RelayTarget,
  type ServerConfig,
  type Sources,
} from "@culvert/config";
import {
  AllowList,
  dialService,
  EndServerMetrics,
  EndServerProxy,
  exposesOf,
  exposeStatuses,
  formatServiceTarget,
  LocalExit,
  type ExposeRule,
} from "@culvert/end-server-proxy";
import { ConfigError, systemClock, TransportError } from "@culvert/runtime";
import type { RelayLink } from "@culvert/transport";
import { tipDefaults } from "@culvert/wire";
import { buildLink } from "../compose/dialing.ts";
import { oneShotContext } from "../compose/one-shot-context.ts";
import type { DaemonContext } from "../daemon/daemon.ts";
import { StopSignals } from "../daemon/stop-signals.ts";
import { endProcessAfter } from "../end-process.ts";
import { ExitCode } from "../exit-code.ts";
import { ruleOf, type ExposeRequest } from "./expose-request.ts";
import { RequestLines } from "./request-lines.ts";

/**
 * Makes a local service public until a signal ends it, and ends the process. What passes is shown on standard output; the log stays
 * silent unless asked for by flag.
 * @throws ConfigError where arguments or configuration are wrong.
 */
export async function runExpose(request: ExposeRequest, sources: Sources): Promise<void> {
  const config = loadServerConfig(sources);
  const rule = ruleOf(request, config);
  const { relay } = config;
  if (relay === undefined) {
    throw new ConfigError("bad_config", `${config.file}: culvert expose needs a relay of ours`);
  }
  const context = await oneShotContext(config, sources);
  const { isTTY, columns } = process.stdout;
  const lines = new RequestLines({
    clock: systemClock,
    write: (text) => process.stdout.write(text),
    json: request.json,
    terminal: isTTY && !request.json ? { columns: columns } : undefined,
  });
  const signals = new StopSignals(process, () => process.exit(ExitCode.Failure));
  await endProcessAfter(() => expose({ ...config, relay }, context, rule, lines, signals.first));
}

async function expose(
  config: ServerConfig & { readonly relay: RelayTarget },
  context: DaemonContext,
  rule: ExposeRule,
  lines: RequestLines,
  stopped: Promise<unknown>,
): Promise<ExitCode> {
  const { clock, log, registry } = context;
  let link: RelayLink | undefined;
  let isOpen = false;
  let refuse: (error: Error) => void = () => undefined;
  // Before it has been public once, whatever fails ends the command; afterwards the link tries again.
  const refused = new Promise<never>((_resolve, reject) => (refuse = reject));
  const failed = (error: Error): void => {
    if (isOpen) lines.interrupted(error.message);
    else refuse(error);
  };
  const attached = (): void => {
    const url = link === undefined ? undefined : urlOf(rule, link);
    if (url instanceof Error) failed(url);
    else if (url !== undefined) {
      lines.opened(url, formatServiceTarget(rule.to));
      isOpen = true;
    }
  };
  const moved = (): void => {
    const url = link === undefined ? undefined : urlOf(rule, link);
    if (url instanceof Error) failed(url);
  };
  const proxy = new EndServerProxy(
    {
      clock,
      log,
      metrics: new EndServerMetrics(registry),
      exit: new LocalExit(
        { clock },
        {
          allowList: new AllowList({ services: new Map(), rules: [] }),
          connectTimeout: config.connectTimeout,
        },
      ),
      dialService: (to, signal) =>
        dialService(to, { clock, timeout: config.connectTimeout, signal }),
      observer: lines,
      link: (serve) =>
        (link = buildLink(config, context, {
          services: [],
          exposes: exposesOf([rule]),
          transient: true,
          serve,
          onAttached: attached,
          onMoved: moved,
          onFailed: failed,
        })),
    },
    {
      maxConnections: config.limits.connections,
      tipDeadline: tipDefaults.tipDeadline,
      drainTimeout: config.drain,
      exposes: [rule],
    },
  );
  proxy.start();
  try {
    await Promise.race([stopped, refused]);
    lines.closed();
    return ExitCode.Ok;
  } finally {
    await proxy.close();
  }
}

/** Where the service is public now, or why it is not; undefined without a session. */
function urlOf(rule: ExposeRule, link: RelayLink): string | Error | undefined {
  const { state } = link;
  if (state.kind !== "attached") return undefined;
  const [status] = exposeStatuses([rule], state.answer);
  const said = state.answer.exposes?.[0];
  if (status?.state !== "granted" || said === undefined) {
    return new TransportError("refused", `the relay refused: ${status?.text ?? "no answer"}`);
  }
  if (rule.name !== "" && rule.tls === "relay" && !said.tlsEnded && said.httpsPort !== 0) {
    const text = `the relay passes TLS of ${rule.name} on (tls: pass in its public.names); end it here with --tls local --cert FILE --key FILE, or let the service do so with --tls pass`;
    return new TransportError("refused", text);
  }
  if (rule.tls === "pass" && said.tlsEnded) {
    const text = `the relay ends TLS of ${rule.name} (tls: end in its public.names); leave out --tls pass`;
    return new TransportError("refused", text);
  }
  return status.url;
}
