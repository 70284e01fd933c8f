import { sourceOf } from "./half-open.ts";

interface Budget {
  tokens: number;
  refilledMs: number;
}

/** How much a {@link SourceBudget} allows. */
export interface BudgetLimits {
  readonly perSecond: number;
  /** At once, after a quiet time. */
  readonly burst: number;
}

/**
 * Allows each source address so many things a second (a token bucket each). Sources are IPv4 addresses and IPv6 /64 networks; those
 * not seen for longest are forgotten, so that forged addresses take no memory.
 */
export class SourceBudget {
  readonly #limits: BudgetLimits;
  /** Least recently seen first. */
  readonly #budgets = new Map<string, Budget>();

  constructor(limits: BudgetLimits) {
    this.#limits = limits;
  }

  /** Takes one of the source's tokens. Returns false if it has none. */
  take(host: string, nowMs: number): boolean {
    const { perSecond, burst } = this.#limits;
    const key = sourceOf(host);
    const budget = this.#budgets.get(key) ?? { tokens: burst, refilledMs: nowMs };
    const refill = ((nowMs - budget.refilledMs) / 1000) * perSecond;
    budget.tokens = Math.min(burst, budget.tokens + refill);
    budget.refilledMs = nowMs;
    this.#budgets.delete(key);
    this.#budgets.set(key, budget);
    const [oldest] = this.#budgets.keys();
    if (this.#budgets.size > maxSources && oldest !== undefined) this.#budgets.delete(oldest);
    if (budget.tokens < 1) return false;
    budget.tokens -= 1;
    return true;
  }
}

/** Sources remembered; about 100 bytes each. */
const maxSources = 4096;
