/** Runs the plugins of admission in their order: first all that change, after validation all that only judge. */
import { assert } from '../../lib/assert.ts';
import type { KubeObject } from '../../machinery/types.ts';
import type { NamedTarget, RegistryContext } from '../registry-types.ts';
import type { AdmissionPlugin, AdmissionRequest } from './types.ts';

export class AdmissionChain {
  readonly #mutating: readonly (AdmissionPlugin & Required<Pick<AdmissionPlugin, 'mutate'>>)[];
  readonly #validating: readonly (AdmissionPlugin & Required<Pick<AdmissionPlugin, 'validate'>>)[];
  readonly #choosy: readonly (AdmissionPlugin & Required<Pick<AdmissionPlugin, 'needsRecent'>>)[];

  constructor(plugins: readonly AdmissionPlugin[]) {
    this.#mutating = plugins.filter((plugin) => plugin.mutate !== undefined) as never;
    this.#validating = plugins.filter((plugin) => plugin.validate !== undefined) as never;
    this.#choosy = plugins.filter((plugin) => plugin.needsRecent !== undefined) as never;
  }

  /**
   * Gives the object as it shall be. `settle` brings an object that a plugin has changed back into form: defaults, and the
   * fields that belong to the server. Rejects with the StatusError of the first plugin that refuses.
   */
  async mutate(request: AdmissionRequest, context: RegistryContext, settle: (object: KubeObject) => void): Promise<KubeObject> {
    let changed = await this.#change(request, context);
    if (request.again) changed = (await this.#change(request, context)) || changed;
    assert(request.object, 'admission took the object away');
    if (changed) settle(request.object);
    return request.object;
  }

  async #change(request: AdmissionRequest, context: RegistryContext): Promise<boolean> {
    let asked = false;
    for (const plugin of this.#mutating) {
      if (!plugin.handles(request)) continue;
      await plugin.mutate(request, context);
      asked = true;
    }
    return asked;
  }

  /** Whether a write to this target has to begin on state that is known to be recent. */
  needsRecent(target: NamedTarget): boolean {
    return this.#choosy.some((plugin) => plugin.needsRecent(target));
  }

  /** Asks all plugins about a write that has no object to change: a deletion, or a subresource that is an order. */
  async admit(request: AdmissionRequest, context: RegistryContext): Promise<void> {
    for (const plugin of this.#mutating) {
      if (plugin.handles(request)) await plugin.mutate(request, context);
    }
    await this.validate(request, context);
  }

  async validate(request: AdmissionRequest, context: RegistryContext): Promise<void> {
    for (const plugin of this.#validating) {
      if (plugin.handles(request)) await plugin.validate(request, context);
    }
  }
}
