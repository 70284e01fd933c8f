import { encodeIcmp, icmpType } from "@culvert/netstack";
import { managerAddress } from "../router/manager-address.ts";
import { addressAt, destinationOffset, sourceOffset } from "./packet-switch.ts";

/** An ICMP echo request to a host, which its agent answers itself, NoRouter's own as ours. It comes from nobody of the network. */
export function echoProbe(vip: number, sequence: number): Uint8Array {
  const ends = { source: managerAddress, destination: vip };
  const message = { type: icmpType.echoRequest, code: 0, rest: sequence >>> 0, body: noBytes };
  return encodeIcmp(ends, message);
}

/** Whether a packet is the answer of a host's agent to an {@link echoProbe}; any other that goes to the manager is one to nobody. */
export function isAnswerOf(vip: number, packet: Uint8Array): boolean {
  const headerBytes = ((packet[0] ?? 0) & 0x0f) * 4;
  return (
    packet[protocolOffset] === icmpProtocol &&
    packet[headerBytes] === icmpType.echoReply &&
    addressAt(packet, sourceOffset) === vip &&
    addressAt(packet, destinationOffset) === managerAddress
  );
}

const noBytes = new Uint8Array(0);
const protocolOffset = 9;
const icmpProtocol = 1;
