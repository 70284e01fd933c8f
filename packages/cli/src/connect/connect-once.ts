import { ClientMetrics, ClientProxy, runStdio, standardStreams } from "@culvert/client-proxy";
import {
  loadClientConfig,
  parseServerTarget,
  type ClientConfig,
  type Sources,
} from "@culvert/config";
import { TransportError } from "@culvert/runtime";
import { buildLink } from "../compose/dialing.ts";
import { oneShotContext } from "../compose/one-shot-context.ts";
import type { DaemonContext } from "../daemon/daemon.ts";
import { StopSignals } from "../daemon/stop-signals.ts";
import { endProcessAfter } from "../end-process.ts";
import { ExitCode } from "../exit-code.ts";

/**
 * Opens one connection, joins it to standard input and output, and ends the process when both directions have ended. Logs nothing
 * unless asked by flag, since standard error belongs to the user of ssh.
 * @throws ConfigError where arguments or configuration are wrong.
 */
export async function connectOnce(to: string, sources: Sources): Promise<void> {
  const destination = parseServerTarget(to);
  const config = loadClientConfig(sources);
  const context = await oneShotContext(config, sources);
  const stop = new AbortController();
  const signals = new StopSignals(process, () => process.exit(ExitCode.Failure));
  // ssh ends its ProxyCommand by SIGHUP: the relay is to hear of it now, not when the session has been silent for long.
  void signals.first.then((signal) => {
    stop.abort(new TransportError("aborted", `ended by ${signal}`));
  });
  await endProcessAfter(async () => {
    try {
      return await carry(config, context, destination, stop.signal);
    } catch (error) {
      if (stop.signal.aborted) return ExitCode.Failure;
      throw error;
    }
  });
}

async function carry(
  config: ClientConfig,
  context: DaemonContext,
  destination: { readonly server: string; readonly target: string },
  signal: AbortSignal,
): Promise<ExitCode> {
  const { clock, random, log, registry } = context;
  let proxy: ClientProxy | undefined;
  try {
    // The first failure is the answer: whoever waits at the other end of the pipe can try again.
    await new Promise<void>((resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
      const link = buildLink(config, context, {
        services: [],
        transient: true,
        stays: true,
        onAttached: resolve,
        onFailed: reject,
      });
      proxy = new ClientProxy(
        {
          clock,
          random,
          log,
          link,
          metrics: new ClientMetrics(registry),
          entrances: () => [],
        },
        { answerTimeout: config.connectTimeout, drainTimeout: config.drain },
      );
      proxy.start().catch(reject);
    });
    if (proxy === undefined) return ExitCode.Failure;
    const { failure } = await runStdio(
      { connector: proxy.connector },
      { ...destination, stream: standardStreams(), signal },
    );
    if (failure !== undefined) throw failure.error;
    return ExitCode.Ok;
  } finally {
    await proxy?.close();
  }
}
