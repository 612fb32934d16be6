/** The Common Expression Language as Kubernetes uses it: declare variables, compile, estimate, evaluate. */
export { CelBudget, celCosts } from './budget.ts';
export { fromJson, toJson } from './convert.ts';
export { CelEnvironment, type CelEnvironmentOptions, type CelProgram } from './environment.ts';
export { CelError, type CelErrorCode, type CelIssue } from './errors.ts';
export { escapeFieldName, unescapeFieldName } from './escaping.ts';
export {
  type AskAuthorizer,
  CelAuthorizer,
  type CelAuthorizerAnswer,
  type CelAuthorizerQuestion,
  CelResourceCheck,
} from './library/authorization.ts';
export { CelList } from './lists.ts';
export { CelMap } from './maps.ts';
export { type SchemaTypeOptions, typeOfSchema } from './schema-types.ts';
export { type CelType, celTypes, formatType, listOf, mapOf, type ObjectType, objectOf, optionalOf, typeOf } from './types.ts';
export { CelDuration, CelOpaque, CelOptional, CelTimestamp, CelUint, type CelValue } from './values.ts';
