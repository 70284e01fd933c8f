import { tipDefaults } from "./defaults.ts";
import { nameProblem, serviceNameProblem } from "./name.ts";
import { canonicalIpv6, isIpv4 } from "./ip-address.ts";
import { publicNameProblem } from "./public-name.ts";
import { quoteText } from "./quote-text.ts";
import { targetProblem } from "./target.ts";
import { characterCount } from "./text-length.ts";
import type {
  Expose,
  ExposeAnswer,
  Forward,
  ForwardAnswer,
  Offer,
  PublicOffer,
  Tip,
} from "./tip.ts";
import { Status } from "./status.ts";

/** The first rule of PROTOCOL.md §6 and §7 that a tip breaks, as one line; undefined where it keeps them all. */
export function tipProblem(tip: Tip): string | undefined {
  switch (tip.kind) {
    case "attach":
      return (
        servicesProblem(tip.services) ??
        sixteenBytes("instanceId", tip.instanceId) ??
        text("software", tip.software) ??
        capabilities(tip.capabilities) ??
        exposes(tip.exposes, exposeProblem)
      );
    case "attachAnswer":
      return (
        uint32("status", tip.status) ??
        text("text", tip.text) ??
        // A refused peer may have no name here.
        (tip.name === "" && tip.status !== Status.ok ? undefined : name("name", tip.name)) ??
        text("software", tip.software) ??
        capabilities(tip.capabilities) ??
        exposes(tip.exposes, exposeAnswerProblem)
      );
    case "connect":
      return (
        name("server", tip.server) ??
        target(tip.target) ??
        sixteenBytes("traceId", tip.traceId) ??
        port("clientPort", tip.clientPort) ??
        inner(tip.inner)
      );
    case "offer":
      if (tip.public !== undefined) return publicOfferProblem(tip, tip.public);
      return (
        peerId("clientId", tip.clientId) ??
        name("clientName", tip.clientName) ??
        target(tip.target) ??
        sixteenBytes("traceId", tip.traceId) ??
        port("clientPort", tip.clientPort) ??
        inner(tip.inner)
      );
    case "answer":
      return (
        uint32("status", tip.status) ??
        text("text", tip.text) ??
        limitName(tip.limit) ??
        inner(tip.inner)
      );
  }
}

/** As {@link tipProblem}, for the inner layer of a Connect. */
export function forwardProblem(forward: Forward): string | undefined {
  return (
    port("clientPort", forward.clientPort) ??
    target(forward.target) ??
    capabilities(forward.capabilities)
  );
}

/** As {@link tipProblem}, for the inner layer of an Answer. */
export function forwardAnswerProblem(answer: ForwardAnswer): string | undefined {
  return (
    uint32("status", answer.status) ??
    text("text", answer.text) ??
    capabilities(answer.capabilities)
  );
}

type Problem = string | undefined;

function servicesProblem(services: readonly string[]): Problem {
  if (services.length > tipDefaults.maxServices) {
    return `${services.length} services; at most ${tipDefaults.maxServices} are allowed`;
  }
  for (const service of services) {
    const problem = serviceNameProblem(service);
    if (problem !== undefined) return `service ${quoteText(service)}: ${problem}`;
  }
  return undefined;
}

function exposes<T extends Expose>(
  values: readonly T[] = [],
  problemOf: (value: T) => Problem,
): Problem {
  if (values.length > tipDefaults.maxExposes) {
    return `${values.length} exposes; at most ${tipDefaults.maxExposes} are allowed`;
  }
  for (const value of values) {
    const problem = problemOf(value);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function exposeProblem({ name: value, port: number }: Expose): Problem {
  if ((value === "") === (number === 0)) return "an expose has a name or a port, and not both";
  return value === ""
    ? port("expose port", number)
    : publicName("expose", value, { wildcard: true });
}

function exposeAnswerProblem(answer: ExposeAnswer): Problem {
  return (
    exposeProblem(answer) ??
    uint32("status", answer.status) ??
    text("text", answer.text) ??
    port("httpsPort", answer.httpsPort) ??
    port("httpPort", answer.httpPort)
  );
}

function publicOfferProblem(offer: Offer, from: PublicOffer): Problem {
  const { remote, localAddress } = from;
  if (offer.clientId !== "" || offer.clientName !== "" || offer.target !== "") {
    return "a public offer has neither client nor target";
  }
  if (offer.inner.length > 0) return "a public offer has no inner layer";
  if ((from.service === "tcp") !== (from.name === "")) {
    return "a public offer has a name where its service is https or http, and only there";
  }
  if (from.service === "https" && from.tlsEnded) return "https is TLS, which nobody has ended";
  const addressProblem = isAddress(remote.family, remote.address)
    ? undefined
    : `remote address ${quoteText(remote.address)} is no ${remote.family} address`;
  return (
    sixteenBytes("traceId", offer.traceId) ??
    port("clientPort", offer.clientPort) ??
    (from.name === "" ? undefined : publicName("name", from.name, { wildcard: false })) ??
    port("servicePort", from.servicePort) ??
    addressProblem ??
    port("remote port", remote.port) ??
    (localAddress === "" || isAddress("IPv4", localAddress) || isAddress("IPv6", localAddress)
      ? undefined
      : `local address ${quoteText(localAddress)} is no IP address`)
  );
}

function isAddress(family: "IPv4" | "IPv6", text: string): boolean {
  return family === "IPv4" ? isIpv4(text) : canonicalIpv6(text) === text;
}

function publicName(field: string, value: string, form: { readonly wildcard: boolean }): Problem {
  const problem = publicNameProblem(value, form);
  return problem === undefined ? undefined : `${field} ${quoteText(value)}: ${problem}`;
}

function name(field: string, value: string): Problem {
  const problem = nameProblem(value);
  return problem === undefined ? undefined : `${field} ${quoteText(value)}: ${problem}`;
}

function limitName(value: string): Problem {
  // The name of a setting, so capitals are at home in it; empty where no limit is meant.
  return /^[A-Za-z0-9._-]{0,64}$/.test(value)
    ? undefined
    : `limit ${quoteText(value)} is not the name of one`;
}

function target(value: string): Problem {
  const problem = targetProblem(value);
  return problem === undefined ? undefined : `target ${quoteText(value)}: ${problem}`;
}

function peerId(field: string, value: string): Problem {
  return peerIdShape.test(value) ? undefined : `${field} ${quoteText(value)} is not a peer id`;
}

function text(field: string, value: string): Problem {
  // No text has more characters than UTF-16 units, so the count is rarely needed.
  if (value.length <= tipDefaults.maxTextLength) return undefined;
  const length = characterCount(value);
  if (length <= tipDefaults.maxTextLength) return undefined;
  return `${field} has ${length} characters; at most ${tipDefaults.maxTextLength} are allowed`;
}

function sixteenBytes(field: string, value: Uint8Array): Problem {
  return value.length === 16 ? undefined : `${field} has ${value.length} bytes; it must have 16`;
}

function inner(value: Uint8Array): Problem {
  if (value.length <= tipDefaults.maxInnerBytes) return undefined;
  return `inner has ${value.length} bytes; at most ${tipDefaults.maxInnerBytes} are allowed`;
}

function port(field: string, value: number): Problem {
  if (Number.isInteger(value) && value >= 0 && value <= 65_535) return undefined;
  return `${field} ${value} is not within 0 to 65535`;
}

function capabilities(values: readonly number[]): Problem {
  if (values.length > tipDefaults.maxCapabilities) {
    return `${values.length} capabilities; at most ${tipDefaults.maxCapabilities} are allowed`;
  }
  for (const value of values) {
    const problem = uint32("capability", value);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function uint32(field: string, value: number): Problem {
  return value >>> 0 === value ? undefined : `${field} ${value} is not a 32-bit number`;
}

/** base58 of an identity multihash of an Ed25519 public key: the only kind of peer id there is here. */
const peerIdShape = /^12D3KooW[1-9A-HJ-NP-Za-km-z]{44}$/;
