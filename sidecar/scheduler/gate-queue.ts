/** Gated requests of one model and class, in the order in which they pass: `order.ts` kept in memory. It knows no clock and no permits. */
import { chooseLine, turnCost, turnOf, type WaitingLine } from "./order.js";

export interface GateWaiter {
  /** 0 (most urgent) to 9. */
  readonly priority: number;
  readonly tenant: string | null;
  /** Of its tenant; 1 for most. */
  readonly weight: number;
  /** By the steady clock. */
  readonly arrivedMs: number;
}

/** A line with somebody in it. */
export interface GateLine extends WaitingLine {
  readonly size: number;
}

export class GateQueue<Waiter extends GateWaiter> {
  readonly #lines = new Map<number, Line<Waiter>>();
  #served = 0;

  add(waiter: Waiter): void {
    const { priority } = waiter;
    const line = this.#lines.get(priority) ?? new Line<Waiter>(priority);
    this.#lines.set(priority, line);
    line.add(waiter);
  }

  /** It waits no longer and has not passed. Harmless for one that is not here. */
  remove(waiter: Waiter): void {
    this.#lines.get(waiter.priority)?.remove(waiter);
  }

  /** At most one per priority. */
  lines(): GateLine[] {
    return this.#waiting();
  }

  /** @returns who passes now, null when nobody waits */
  take(nowMs: number, ageingMs: number): Waiter | null {
    const line = chooseLine(this.#waiting(), nowMs, ageingMs);
    if (line === null) return null;
    this.#served += 1;
    return line.take(this.#served);
  }

  /** Everybody, who then waits no longer. */
  clear(): Waiter[] {
    const all = this.#waiting().flatMap((line) => line.waiters());
    this.#lines.clear();
    return all;
  }

  #waiting(): Line<Waiter>[] {
    return [...this.#lines.values()].filter(({ size }) => size > 0);
  }
}

/** Tenants that are behind the present turn are forgotten once they outnumber those who wait by so many. */
const SPARE_TENANTS = 100;

class Line<Waiter extends GateWaiter> implements GateLine {
  readonly priority: number;
  served = 0;
  #turn = 0;
  /** Where each tenant's next turn begins. */
  readonly #next = new Map<string, number>();
  /** By turn, then by arrival. */
  readonly #order: { readonly waiter: Waiter; readonly turn: number }[] = [];
  readonly #arrived = new Set<Waiter>();

  constructor(priority: number) {
    this.priority = priority;
  }

  get size(): number {
    return this.#order.length;
  }

  get oldestMs(): number {
    for (const { arrivedMs } of this.#arrived) return arrivedMs;
    return Number.POSITIVE_INFINITY;
  }

  waiters(): Waiter[] {
    return [...this.#arrived];
  }

  add(waiter: Waiter): void {
    const tenant = waiter.tenant ?? "";
    const turn = turnOf(this.#turn, this.#next.get(tenant) ?? null);
    this.#next.set(tenant, turn + turnCost(waiter.weight));
    const before = this.#order.findLastIndex((each) => each.turn <= turn);
    this.#order.splice(before + 1, 0, { waiter, turn });
    this.#arrived.add(waiter);
  }

  remove(waiter: Waiter): void {
    if (!this.#arrived.delete(waiter)) return;
    this.#order.splice(
      this.#order.findIndex((each) => each.waiter === waiter),
      1,
    );
    // It took no start: its tenant's next turn moves up.
    const tenant = waiter.tenant ?? "";
    const next = this.#next.get(tenant);
    if (next !== undefined) this.#next.set(tenant, Math.max(0, next - turnCost(waiter.weight)));
    this.#forgetTenants();
  }

  take(served: number): Waiter {
    const { waiter, turn } = this.#order.shift()!;
    this.#arrived.delete(waiter);
    this.#turn = Math.max(this.#turn, turn);
    this.served = served;
    this.#forgetTenants();
    return waiter;
  }

  #forgetTenants(): void {
    if (this.#next.size <= this.#order.length + SPARE_TENANTS) return;
    for (const [tenant, next] of this.#next) if (next <= this.#turn) this.#next.delete(tenant);
    // Nobody is left to be fair to.
    if (this.#order.length === 0) this.#next.clear();
  }
}
