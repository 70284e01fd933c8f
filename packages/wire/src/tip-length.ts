import { utf8Length } from "./text-length.ts";
import type { Expose, ExposeAnswer, PublicOffer, Tip } from "./tip.ts";
import { varintLength } from "./varint.ts";

/** Bytes of a tip as a protobuf message, without its frame. All field numbers are below 16, so every tag is one byte. */
export function messageLength(tip: Tip): number {
  const length = kindLength(tip);
  return 1 + varintLength(length) + length;
}

function kindLength(tip: Tip): number {
  switch (tip.kind) {
    case "attach":
      return (
        number(1) +
        tip.services.reduce((sum, name) => sum + element(text(name)), 0) +
        bytes(tip.instanceId.length) +
        number(tip.transient ? 1 : 0) +
        text(tip.software) +
        packed(tip.capabilities) +
        elements(tip.exposes, exposeLength)
      );
    case "attachAnswer":
      return (
        number(tip.status) +
        text(tip.text) +
        text(tip.name) +
        text(tip.software) +
        packed(tip.capabilities) +
        elements(tip.exposes, exposeAnswerLength)
      );
    case "connect":
      return (
        text(tip.server) +
        text(tip.target) +
        bytes(tip.traceId.length) +
        number(tip.clientPort) +
        bytes(tip.inner.length)
      );
    case "offer":
      return (
        text(tip.clientId) +
        text(tip.clientName) +
        text(tip.target) +
        bytes(tip.traceId.length) +
        number(tip.clientPort) +
        bytes(tip.inner.length) +
        (tip.public === undefined ? 0 : element(publicOfferLength(tip.public)))
      );
    case "answer":
      return number(tip.status) + text(tip.text) + text(tip.limit) + bytes(tip.inner.length);
  }
}

function exposeLength({ name, port }: Expose): number {
  return text(name) + number(port);
}

function exposeAnswerLength(answer: ExposeAnswer): number {
  return (
    exposeLength(answer) +
    number(answer.status) +
    text(answer.text) +
    number(answer.httpsPort) +
    number(answer.httpPort) +
    number(answer.tlsEnded ? 1 : 0)
  );
}

function publicOfferLength({ remote, ...offer }: PublicOffer): number {
  return (
    text(offer.service) +
    text(offer.name) +
    number(offer.servicePort) +
    text(remote.family) +
    text(remote.address) +
    number(remote.port) +
    text(offer.localAddress) +
    number(offer.tlsEnded ? 1 : 0)
  );
}

function elements<T>(values: readonly T[] = [], lengthOf: (value: T) => number): number {
  return values.reduce((sum, value) => sum + element(lengthOf(value)), 0);
}

// A field that has its default value is not written (proto3).
function number(value: number): number {
  return value === 0 ? 0 : 1 + varintLength(value);
}

function text(value: string): number {
  return bytes(utf8Length(value));
}

function bytes(length: number): number {
  return length === 0 ? 0 : element(length);
}

function element(length: number): number {
  return 1 + varintLength(length) + length;
}

function packed(values: readonly number[]): number {
  return bytes(values.reduce((sum, value) => sum + varintLength(value), 0));
}
