/** The kinds that users define own and are owned like any other: they are followed as long as they are established. */
import { type CustomResourceDefinition, isEstablished } from '../../machinery/custom/definition.ts';
import { Informer } from '../../machinery/informer.ts';
import * as r from '../../machinery/resources.ts';
import type { KubeObject } from '../../machinery/types.ts';
import type { ControllerContext } from '../context.ts';
import type { Source } from './index.ts';

interface Followed {
  source: Source;
  /** What its objects are asked for as; another version is another source. */
  made: string;
  stop: AbortController;
}

/** What the collector does about a kind: hears of its objects, looks again at what they own, and hears no more. */
export interface Collector {
  follow(source: Source): void;
  /** Called when all objects of the kind are known. */
  reconsider(source: Source): void;
  forget(source: Source, gone: boolean): void;
}

/** Follows what is defined from now on. Gives what ends that; the signal does too. */
export function followDefined(
  context: ControllerContext,
  { follow, reconsider, forget }: Collector,
  signal: AbortSignal,
): () => void {
  const { client, clock, random, logger } = context;
  const definitions = context.informer(r.customResourceDefinitions);
  const followed = new Map<string, Followed>();
  let over = false;

  function drop(name: string, gone = false): void {
    const known = followed.get(name);
    if (!known) return;
    followed.delete(name);
    known.stop.abort(new Error('the kind is gone'));
    forget(known.source, gone);
  }

  function consider(definition: CustomResourceDefinition): void {
    const { name, uid } = definition.metadata;
    const resource = r.definedResource(definition);
    const made = JSON.stringify([uid, resource]);
    if (followed.get(name)?.made === made) return;
    drop(name);
    if (!isEstablished(definition)) return;
    const informer = new Informer<KubeObject>({ client, resource, clock, random, logger });
    const stop = new AbortController();
    const source = { resource, informer };
    followed.set(name, { source, made, stop });
    follow(source);
    const both = AbortSignal.any([signal, stop.signal]);
    void informer.start(both);
    const known = () => followed.get(name)?.source === source && reconsider(source);
    // It rejects with the signal's reason and for nothing else.
    informer.synced(both).then(known, () => undefined);
  }

  for (const definition of definitions.list()) consider(definition);
  definitions.onChange(({ type, object }) => {
    if (over) return;
    if (type === 'deleted') drop(object.metadata.name, true);
    else consider(object);
  });
  return () => {
    over = true;
    for (const name of [...followed.keys()]) drop(name);
  };
}
