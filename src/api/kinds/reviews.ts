/**
 * Questions about who somebody is and what they may do. They are only asked (created), answered at once and never stored;
 * the answers are made in src/api/reviews.ts.
 */
import type { KindDefinition, KindVersion } from '../../machinery/kind.ts';
import { nameColumn } from './columns.ts';

interface Question {
  group: 'authentication.k8s.io' | 'authorization.k8s.io';
  kind: string;
  namespaced?: true;
  /** Older versions of the same form. */
  older?: string[];
}

const questions: Question[] = [
  // kubectl 1.27 asks for v1beta1.
  { group: 'authentication.k8s.io', kind: 'SelfSubjectReview', older: ['v1beta1'] },
  { group: 'authentication.k8s.io', kind: 'TokenReview' },
  { group: 'authorization.k8s.io', kind: 'LocalSubjectAccessReview', namespaced: true },
  { group: 'authorization.k8s.io', kind: 'SelfSubjectAccessReview' },
  { group: 'authorization.k8s.io', kind: 'SelfSubjectRulesReview' },
  { group: 'authorization.k8s.io', kind: 'SubjectAccessReview' },
];

export const reviewKinds: KindDefinition[] = questions.map(({ group, kind, namespaced = false, older = [] }) => {
  const schemaOf = (version: string) => `${group.split('.')[0]}.${version}.${kind}`;
  const rest: KindVersion[] = older.map((name) => ({ name, schema: schemaOf(name) }));
  return {
    group,
    kind,
    plural: `${kind.toLowerCase()}s`,
    singular: kind.toLowerCase(),
    namespaced,
    versions: [{ name: 'v1', schema: schemaOf('v1') }, ...rest],
    verbs: ['create'],
    hasStatus: false,
    generationFields: [],
    setDefaults() {},
    validate: () => [],
    columns: [nameColumn],
  };
});
