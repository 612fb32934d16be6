/** What evaluation may cost. */
import { CelError, type CelErrorCode } from './errors.ts';

/** Kubernetes' bounds, in units of cost. */
export const celCosts = {
  /** One evaluation of one expression. */
  perCall: 1_000_000,
  /** All rules of one custom resource, or all expressions of one policy, for one request. */
  perObject: 10_000_000,
  /** All match conditions of one webhook or policy for one request. */
  perMatchConditions: 2_500_000,
  /** The estimate of one rule in a CustomResourceDefinition. */
  estimatedPerRule: 10_000_000,
  /** The estimates of all rules in a CustomResourceDefinition together. */
  estimatedPerDefinition: 100_000_000,
} as const;

export const costExceeded = 'operation cancelled: actual cost limit exceeded';

/** Units that several expressions share. */
export class CelBudget {
  readonly units: number;
  #used = 0;

  constructor(units: number) {
    this.units = units;
  }

  get used(): number {
    return this.#used;
  }

  get remaining(): number {
    return Math.max(0, this.units - this.#used);
  }

  /** Throws CelError `Budget` when there is not enough left. */
  spend(units: number, code: CelErrorCode = 'Budget'): void {
    this.#used += units;
    if (this.#used > this.units) throw new CelError(code, costExceeded);
  }
}

/** What one evaluation spends, of its own bound and of the budget that it shares with others. */
export class Meter {
  readonly #call = new CelBudget(celCosts.perCall);
  readonly #shared: CelBudget;

  constructor(shared: CelBudget) {
    this.#shared = shared;
  }

  /** Throws CelError `CallCost` or `Budget`. */
  spend(units: number): void {
    if (units === 0) return;
    this.#shared.spend(units);
    this.#call.spend(units, 'CallCost');
  }

  get used(): number {
    return this.#call.used;
  }
}
