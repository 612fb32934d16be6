/**
 * Strategic merge patch: a merge patch that knows from the schemas which lists merge by a key. Directives inside the patch
 * (`$patch`, `$retainKeys`, `$deleteFromPrimitiveList/f`, `$setElementOrder/f`) say what plain JSON cannot. Source: the Kubernetes
 * document "Strategic Merge Patch" and KEP "apply: preserve order".
 *
 * Where it ends: a list's merge key decides alone; service ports with the same number and another protocol are one element.
 */
import { checkDepth } from './depth.ts';
import { type FieldSchema, fieldOf, type Schema, schema } from './schemas.ts';
import { badRequest, failure } from './status.ts';

type Json = Record<string, unknown>;

const deleteFromPrefix = '$deleteFromPrimitiveList/';
const orderPrefix = '$setElementOrder/';
const retainKeys = '$retainKeys';
const directive = '$patch';

const isMap = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value);
const unprocessable = (message: string) => failure(422, 'Invalid', message);

/** How the members of a list meet: by key, as a set of plain values, or not at all. */
interface ListRule {
  merges: boolean;
  key: string | undefined;
  of: Schema | undefined;
}

function listRule(field: FieldSchema | undefined): ListRule {
  const merges = field?.strategy?.includes('merge') ?? false;
  return { merges, key: field?.mergeKey, of: field?.type === 'object' ? schema(field.ref!) : undefined };
}

function listOf(value: unknown, name: string): unknown[] {
  if (!Array.isArray(value)) throw badRequest(`invalid patch format: ${name} must be a list`);
  return value;
}

/** Drops the fields that `$retainKeys` does not name. */
function retain(target: Json, patch: Json): Json {
  if (patch[retainKeys] === undefined) return target;
  const kept = new Set(listOf(patch[retainKeys], retainKeys));
  for (const [name, value] of Object.entries(patch)) {
    const plain = name.startsWith(deleteFromPrefix) || name.startsWith(orderPrefix) ? name.slice(name.indexOf('/') + 1) : name;
    if (name === retainKeys || name === directive || value === null || kept.has(plain)) continue;
    throw badRequest(`invalid patch format of retainKeys: ${name} is in the patch but not in the list`);
  }
  return Object.fromEntries(Object.entries(target).filter(([name]) => kept.has(name)));
}

function mergeMap(target: Json, patch: Json, of: Schema | undefined): Json {
  const what = patch[directive];
  if (what === 'delete') return {};
  if (what !== undefined && what !== 'replace' && what !== 'merge') {
    throw badRequest(`unknown patch type: ${JSON.stringify(what)} in map`);
  }
  const merged = new Map(Object.entries(what === 'replace' ? {} : retain(target, patch)));
  const ordered = new Map<string, unknown[]>();
  for (const [name, value] of Object.entries(patch)) {
    if (name === directive || name === retainKeys) continue;
    if (name.startsWith(orderPrefix)) {
      ordered.set(name.slice(orderPrefix.length), listOf(value, name));
    } else if (name.startsWith(deleteFromPrefix)) {
      const list = name.slice(deleteFromPrefix.length);
      const kept = without(merged.get(list), listOf(value, name));
      if (kept) merged.set(list, kept);
    } else if (value === null) {
      merged.delete(name);
    } else {
      merged.set(name, mergeValue(merged.get(name), value, fieldOf(of, name)));
    }
  }
  for (const [name, order] of ordered) {
    const list = merged.get(name);
    if (!Array.isArray(list)) continue;
    const { key } = listRule(fieldOf(of, name));
    checkOrder(patch[name], order, key, name);
    const before = Array.isArray(target[name]) ? target[name] : [];
    merged.set(name, arrange(list, order, before, key));
  }
  return Object.fromEntries(merged);
}

function without(list: unknown, dropped: unknown[]): unknown[] | undefined {
  return Array.isArray(list) ? list.filter((value) => !dropped.includes(value)) : undefined;
}

function mergeValue(target: unknown, patch: unknown, field: FieldSchema | undefined): unknown {
  if (isMap(patch)) {
    // The members of a map have the field's type, as those of a list do.
    if (field?.container === 'map') return mergeMembers(target, patch, field);
    const replaces = field?.strategy?.includes('replace') || !isMap(target);
    return mergeMap(replaces ? {} : target, patch, field?.type === 'object' ? schema(field.ref!) : undefined);
  }
  if (Array.isArray(patch)) return mergeList(Array.isArray(target) ? target : [], patch, listRule(field));
  return patch;
}

function mergeMembers(target: unknown, patch: Json, field: FieldSchema): Json {
  const of = field.type === 'object' ? schema(field.ref!) : undefined;
  if (!of) return mergeMap(isMap(target) ? target : {}, patch, undefined);
  const fields = Object.fromEntries(Object.keys(patch).map((key) => [key, { type: 'object' as const, ref: of.name }]));
  return mergeMap(isMap(target) ? target : {}, patch, { name: of.name, fields });
}

function mergeList(target: unknown[], patch: unknown[], rule: ListRule): unknown[] {
  if (!rule.merges) return patch.map((item) => plain(item, rule.of));
  if (!patch.some(isMap) && !target.some(isMap)) {
    const union = [...new Set([...target, ...patch])];
    return arrange(union, patch, target, undefined);
  }
  const { key } = rule;
  if (key === undefined) throw unprocessable('cannot merge a list of objects that has no merge key');
  const items = patch.map((item) => keyed(item, key));
  if (items.some((item) => item[directive] === 'replace')) {
    return items.filter((item) => item[directive] === undefined).map((item) => plain(item, rule.of));
  }
  const dropped = new Set(items.filter((item) => item[directive] === 'delete').map((item) => identity(item, key)));
  const merged = target.filter((item) => !dropped.has(identity(item, key)));
  const places = positions(merged, key);
  for (const item of items) {
    if (item[directive] === 'delete') continue;
    const at = places.get(identity(item, key));
    if (at === undefined) places.set(identity(item, key), merged.push(plain(item, rule.of)) - 1);
    else merged[at] = mergeMap(merged[at] as Json, item, rule.of);
  }
  return arrange(merged, items, target, key);
}

/** A member that is new: what it says to delete is not there, so only its values remain. */
function plain(item: unknown, of: Schema | undefined): unknown {
  return isMap(item) ? mergeMap({}, item, of) : item;
}

function keyed(item: unknown, key: string): Json {
  if (!isMap(item)) throw unprocessable('cannot merge a plain value into a list of objects');
  const what = item[directive];
  if (what !== undefined && what !== 'delete' && what !== 'replace' && what !== 'merge') {
    throw badRequest(`unknown patch type: ${JSON.stringify(what)} in list`);
  }
  if (what !== 'replace' && (item[key] === undefined || item[key] === null)) {
    throw unprocessable(`map: ${JSON.stringify(item)} does not contain declared merge key: ${key}`);
  }
  return item;
}

/** What makes two members of a list the same: the value of the key, or the whole value. */
function identity(item: unknown, key: string | undefined): unknown {
  const value = key === undefined ? item : isMap(item) ? item[key] : undefined;
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : value;
}

/** Where each identity stands first. */
function positions(list: unknown[], key: string | undefined): Map<unknown, number> {
  const places = new Map<unknown, number>();
  for (const [index, item] of list.entries()) {
    const id = identity(item, key);
    if (!places.has(id)) places.set(id, index);
  }
  return places;
}

/** The members of the patch must stand in the order that the patch asks for. */
function checkOrder(patch: unknown, order: unknown[], key: string | undefined, name: string): void {
  if (!Array.isArray(patch)) return;
  const places = positions(order, key);
  let from = 0;
  for (const item of patch) {
    if (isMap(item) && item[directive] !== undefined) continue;
    const at = places.get(identity(item, key)) ?? -1;
    if (at < from)
      throw badRequest(`invalid patch format of setElementOrder: the list ${name} is not in the order of ${orderPrefix}${name}`);
    from = at + 1;
  }
}

/**
 * Puts a merged list in order: what `order` names stands as there; the rest keeps its place among those that were before; where the
 * two meet, the former order decides if it knows both, else what the patch names comes first.
 */
function arrange(list: unknown[], order: unknown[], before: unknown[], key: string | undefined): unknown[] {
  const [wantedAt, formerAt] = [positions(order, key), positions(before, key)];
  const ranked = list.map((item) => {
    const id = identity(item, key);
    return { item, wanted: wantedAt.get(id) ?? -1, former: formerAt.get(id) ?? -1 };
  });
  const named = ranked.filter(({ wanted }) => wanted >= 0).sort((a, b) => a.wanted - b.wanted);
  const rest = ranked.filter(({ wanted }) => wanted < 0).sort((a, b) => a.former - b.former);
  const arranged: unknown[] = [];
  let next = 0;
  for (const { item, former } of rest) {
    while (next < named.length && !(former >= 0 && named[next]!.former >= 0 && former < named[next]!.former)) {
      arranged.push(named[next++]!.item);
    }
    arranged.push(item);
  }
  return [...arranged, ...named.slice(next).map(({ item }) => item)];
}

/**
 * The patched copy; shares nothing with its inputs. `schemaName` names the type of the object, for example `apps.v1.Deployment`.
 * Throws StatusError 400 (a directive is malformed, or the patch is nested too deeply) and 422 (it cannot be merged).
 */
export function applyStrategicMerge(target: object, patch: unknown, schemaName: string): object {
  if (!isMap(patch)) throw badRequest('a strategic merge patch is a JSON object');
  checkDepth(patch);
  return structuredClone(mergeMap(target as Json, patch, schema(schemaName)));
}
