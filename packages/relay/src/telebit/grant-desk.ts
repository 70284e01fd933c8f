import { ConfigError, errorText, LimitError, Scope, TransportError } from "@culvert/runtime";
import type { NamePolicy, NameTable } from "../web/name-table.ts";
import type { PortTable } from "../web/port-table.ts";
import type { PublicDevice } from "../web/public-device.ts";
import type { TelebitFault, TelebitScope } from "./telebit-scope.ts";

/** Where grants are entered. */
export interface GrantTables {
  readonly names: NameTable;
  readonly ports: PortTable;
  /** Where granted TCP ports are opened: an address of this machine, or `0.0.0.0` or `::` for all. */
  readonly portHost: string;
  /** How granted names are served. */
  readonly policy: NamePolicy;
  /**
   * Asked for a port that another device has: whether that device turned out to be gone and its ports are free now. A device that
   * lost its network comes back long before its old connection is known to be dead.
   */
  readonly reclaim: (port: number) => Promise<boolean>;
}

/** What applying came to: how to take it back, or why nothing was applied. */
export type Applied =
  | { readonly kind: "applied"; readonly revoke: () => Promise<void> }
  | { readonly kind: "refused"; readonly fault: TelebitFault };

/** Enters a scope for a device into the tables, all of it or nothing. A name also stands for every name below it, as in Telebit. */
export async function applyScope(
  scope: TelebitScope,
  device: PublicDevice,
  tables: GrantTables,
): Promise<Applied> {
  const entered = new Scope();
  try {
    for (const domain of scope.domains) {
      const below = domain.startsWith("*.") ? [] : [`*.${domain}`];
      for (const name of [domain, ...below]) {
        entered.add(tables.names.add(name, device, tables.policy));
      }
    }
    for (const port of scope.ports) {
      const open = await openPort(port, device, tables);
      entered.add(() => open.close());
    }
    return { kind: "applied", revoke: () => entered.close() };
  } catch (error) {
    await entered.close().catch(() => undefined);
    return { kind: "refused", fault: faultOf(error) };
  }
}

async function openPort(
  port: number,
  device: PublicDevice,
  { ports, portHost: host, reclaim }: GrantTables,
): ReturnType<PortTable["open"]> {
  try {
    return await ports.open({ host, port }, device);
  } catch (error) {
    if (!isTaken(error) || !(await reclaim(port))) throw error;
    return ports.open({ host, port }, device);
  }
}

function isTaken(error: unknown): boolean {
  return error instanceof TransportError && error.code === "address_in_use";
}

/** Says to one device nothing of another. */
function faultOf(error: unknown): TelebitFault {
  if (isTaken(error)) return { code: "E_PORT_TAKEN", message: "one of its ports is taken" };
  if (error instanceof LimitError) return { code: "E_LIMIT", message: errorText(error) };
  if (error instanceof ConfigError) return { code: "E_INVALID_NAME", message: errorText(error) };
  return { code: "E_INVALID_PORT", message: "one of its ports cannot be opened" };
}
