import { Status, statusName, type AttachAnswer, type Expose } from "@culvert/wire";
import { exposeLabel, formatServiceTarget, type ExposeRule } from "./expose-rule.ts";

/** What became of one expose; plain JSON. */
export interface ExposeStatus {
  /** The name, or `port 2222`. */
  readonly expose: string;
  readonly to: string;
  readonly tls: "relay" | "pass" | "local";
  readonly state: "waiting" | "granted" | "refused";
  /** Why it was refused; else empty. */
  readonly text: string;
  /** Where the internet finds it; empty unless it is granted. */
  readonly url: string;
}

/** What to ask of the relay for some rules (PROTOCOL.md §3.8). */
export function exposesOf(rules: readonly ExposeRule[]): readonly Expose[] {
  return rules.map(({ name, port }) => ({ name, port }));
}

/** The state of every rule, by the relay's answer; undefined where there is no session. */
export function exposeStatuses(
  rules: readonly ExposeRule[],
  answer: AttachAnswer | undefined,
): readonly ExposeStatus[] {
  return rules.map((rule): ExposeStatus => {
    const base = {
      expose: exposeLabel(rule),
      to: formatServiceTarget(rule.to),
      tls: rule.tls,
      text: "",
      url: "",
    };
    if (answer === undefined) return { ...base, state: "waiting" };
    const said = answer.exposes?.find(({ name, port }) => name === rule.name && port === rule.port);
    if (said === undefined) {
      return { ...base, state: "refused", text: "the relay has no public entrance" };
    }
    if (said.status !== Status.ok) {
      return { ...base, state: "refused", text: said.text || statusName(said.status) };
    }
    return { ...base, state: "granted", url: publicUrl(rule, said) };
  });
}

function publicUrl(
  { name, port }: ExposeRule,
  { httpsPort, httpPort }: { readonly httpsPort: number; readonly httpPort: number },
): string {
  if (name === "") return `tcp port ${port}`;
  if (httpsPort !== 0) return `https://${name}${httpsPort === 443 ? "" : `:${httpsPort}`}`;
  return `http://${name}${httpPort === 80 ? "" : `:${httpPort}`}`;
}
