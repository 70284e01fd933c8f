import { encodeIcmp, icmpType } from "@culvert/netstack";
import { addressAt, destinationOffset } from "./packet-switch.ts";

/** An ICMP echo request to a host, which its agent answers itself, NoRouter's own as ours. It comes from nobody of the network. */
export function echoProbe(vip: number, sequence: number): Uint8Array {
  const ends = { source: managerAddress, destination: vip };
  const message = { type: icmpType.echoRequest, code: 0, rest: sequence >>> 0, body: noBytes };
  return encodeIcmp(ends, message);
}

/** Whether a packet is for the manager itself: the answer to an {@link echoProbe}. */
export function isForManager(packet: Uint8Array): boolean {
  return addressAt(packet, destinationOffset) === managerAddress;
}

/** 192.0.0.8: the source of those who have no address of their own (RFC 7600 §4.8). No host is ever sent to there. */
const managerAddress = 0xc0000008;
const noBytes = new Uint8Array(0);
