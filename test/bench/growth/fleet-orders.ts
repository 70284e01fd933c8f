import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { generateIdentity, writeIdentityFile } from "@culvert/identity";

/** What a fleet of servers is to do. */
export interface FleetOrders {
  readonly relay: { readonly host: string; readonly port: number };
  readonly relayId: string;
  readonly engine: "auto" | "quiche" | "quinn";
  /** One key for each server. */
  readonly keyFiles: readonly string[];
}

/** One server of a fleet, as the relay's configuration names it. */
export interface FleetMember {
  readonly name: string;
  readonly id: string;
  readonly role: "server";
}

/** Makes keys for so many servers in a folder, and {@link fleetFile}; gives what to add to the relay's `peers`. */
export async function prepareFleet(
  folder: string,
  size: number,
  orders: Omit<FleetOrders, "keyFiles">,
): Promise<readonly FleetMember[]> {
  const members: FleetMember[] = [];
  const keyFiles: string[] = [];
  for (let index = 1; index <= size; index += 1) {
    const identity = generateIdentity();
    const keyFile = join(folder, `fleet-${index}.key`);
    await writeIdentityFile(keyFile, identity);
    keyFiles.push(keyFile);
    members.push({ name: `fleet-${index}`, id: identity.peerId, role: "server" });
  }
  const all: FleetOrders = { ...orders, keyFiles };
  await writeFile(join(folder, fleetFile), JSON.stringify(all));
  return members;
}

/** The file from which the fleet's process reads its orders. */
export const fleetFile = "fleet.json";
