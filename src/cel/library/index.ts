/** All functions that every environment has. */
import { type Overload, overload } from '../functions.ts';
import { ValueMap } from '../maps.ts';
import { amounts } from './amounts.ts';
import { authorization } from './authorization.ts';
import { conversions } from './conversions.ts';
import { namedFormats } from './formats.ts';
import { lists } from './lists.ts';
import { network } from './network.ts';
import { operators } from './operators.ts';
import { optionals } from './optionals.ts';
import { strings } from './strings.ts';
import { times } from './times.ts';

/** Steps of macros; the evaluator does them itself, on the map that it is making. */
const macroSteps: readonly Overload[] = [
  overload('@mapInsert_map_key_value', 'cel.@mapInsert(map(K, V), K, V): map(K, V)', (map: ValueMap) => map),
  overload('@mapInsert_map_map', 'cel.@mapInsert(map(K, V), map(K, V)): map(K, V)', (map: ValueMap) => map),
  overload('select_optional_field', '_?._(dyn, string): optional(V)', () => ValueMap.of([])),
];

export const standardLibrary: readonly Overload[] = [
  ...operators,
  ...conversions,
  ...times,
  ...strings,
  ...lists,
  ...optionals,
  ...network,
  ...amounts,
  ...namedFormats,
  ...authorization,
  ...macroSteps,
];
