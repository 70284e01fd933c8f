import { isPlainName } from "./hosts-region.ts";

/**
 * The text of a HOSTALIASES file: what an earlier one has, and an alias for each host that public DNS answers with its address. Names with
 * a dot are left out, since the C library does not look them up there.
 */
export function hostAliases(existing: string, hostnameMap: ReadonlyMap<string, string>): string {
  const aliases = new Map<string, string>();
  for (const line of existing.split("\n")) {
    const [name, target] = line.trim().split(/\s+/);
    if (name !== undefined && name !== "" && target !== undefined) aliases.set(name, target);
  }
  for (const [name, ip] of hostnameMap) {
    if (!name.includes(".") && isPlainName(name)) aliases.set(name, `${ip}.nip.io`);
  }
  return [...aliases].map(([name, target]) => `${name} ${target}\n`).join("");
}
