import { networkHas, parseNetwork } from "./ipv4.ts";

/**
 * Whether an address is not that of one machine as others see it (RFC 6890): each machine has 127.0.0.0/8 for itself and 169.254.0.0/16,
 * where clouds keep secrets, on its own link; 0.0.0.0/8 is itself again, and from 224.0.0.0 on there is none. Who owns a name may let it
 * lead to any of them.
 */
export function isSpecialAddress(address: number): boolean {
  return specialNetworks.some((network) => networkHas(network, address));
}

const specialNetworks = ["0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3"].flatMap(
  (text) => parseNetwork(text) ?? [],
);
