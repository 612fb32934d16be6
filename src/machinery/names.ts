/**
 * The grammars of names: what may stand where, in the words that kubectl users know. Every check returns the list of
 * complaints, empty when the value is fine. Sources: RFC 1123, RFC 1035, and the Kubernetes page "Object Names and IDs".
 */

const label = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const subdomain = `${label}(\\.${label})*`;
const label1035 = '[a-z]([-a-z0-9]*[a-z0-9])?';
const qualified = '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]';
const configKey = '[-._a-zA-Z0-9]+';

export const labelLengthMax = 63;
export const subdomainLengthMax = 253;
const portNameLengthMax = 15;

interface Grammar {
  /** As it is quoted in complaints. */
  source: string;
  expression: RegExp;
  complaint: string;
}

function grammar(source: string, words: string, ...examples: string[]): Grammar {
  const shown = examples.map((example) => `'${example}'`).join(',  or ');
  const complaint = `${words} (e.g. ${shown}, regex used for validation is '${source}')`;
  return { source, expression: new RegExp(`^${source}$`), complaint };
}

const labelGrammar = grammar(
  label,
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character",
  'my-name',
  '123-abc',
);
const subdomainGrammar = grammar(
  subdomain,
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
  'example.com',
);
const label1035Grammar = grammar(
  label1035,
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character",
  'my-name',
  'abc-123',
);
const qualifiedGrammar = grammar(
  qualified,
  "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
  'MyName',
  'my.name',
  '123-abc',
);
const labelValueGrammar = grammar(
  `(${qualified})?`,
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
  'MyValue',
  'my_value',
  '12345',
);
const configKeyGrammar = grammar(
  configKey,
  "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
  'key.name',
  'KEY_NAME',
  'key-name',
);

const tooLong = (lengthMax: number) => `must be no more than ${lengthMax} characters`;
const empty = 'must be non-empty';

function check(value: string, { expression, complaint }: Grammar, lengthMax: number): string[] {
  const complaints: string[] = [];
  if (value.length > lengthMax) complaints.push(tooLong(lengthMax));
  if (!expression.test(value)) complaints.push(complaint);
  return complaints;
}

/** Names of namespaces, containers, volumes: lower case letters, digits and hyphens, at most 63. */
export function isDns1123Label(value: string): string[] {
  const complaints: string[] = [];
  if (value.length > labelLengthMax) complaints.push(tooLong(labelLengthMax));
  if (labelGrammar.expression.test(value)) return complaints;
  // Whoever wrote a proper domain name only needs to hear about the dots.
  complaints.push(subdomainGrammar.expression.test(value) ? 'must not contain dots' : labelGrammar.complaint);
  return complaints;
}

/** Names of most objects: labels joined by dots, at most 253 characters. */
export function isDns1123Subdomain(value: string): string[] {
  return check(value, subdomainGrammar, subdomainLengthMax);
}

/** Names of services: like a label, but the first character is a letter. */
export function isDns1035Label(value: string): string[] {
  return check(value, label1035Grammar, labelLengthMax);
}

/** Keys of labels, annotations, finalizers, resources: `[subdomain/]name`. */
export function isQualifiedName(value: string): string[] {
  const parts = value.split('/');
  if (parts.length > 2) {
    return [
      `a qualified name ${qualifiedGrammar.complaint} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`,
    ];
  }
  const complaints: string[] = [];
  const name = parts[parts.length - 1]!;
  if (parts.length === 2) {
    const prefix = parts[0]!;
    const of = prefix === '' ? [empty] : isDns1123Subdomain(prefix);
    complaints.push(...of.map((complaint) => `prefix part ${complaint}`));
  }
  if (name === '') complaints.push(`name part ${empty}`);
  else if (name.length > labelLengthMax) complaints.push(`name part ${tooLong(labelLengthMax)}`);
  if (!qualifiedGrammar.expression.test(name)) complaints.push(`name part ${qualifiedGrammar.complaint}`);
  return complaints;
}

/** Values of labels: empty, or at most 63 characters. */
export function isLabelValue(value: string): string[] {
  return check(value, labelValueGrammar, labelLengthMax);
}

/** Names of ports, as IANA service names: at most 15 characters with at least one letter. */
export function isPortName(value: string): string[] {
  const complaints: string[] = [];
  if (value.length > portNameLengthMax) complaints.push(tooLong(portNameLengthMax));
  if (!/^[-a-z0-9]+$/.test(value)) complaints.push('must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)');
  if (!/[a-z]/.test(value)) complaints.push('must contain at least one letter (a-z)');
  if (value.includes('--')) complaints.push('must not contain consecutive hyphens');
  if (value.startsWith('-') || value.endsWith('-')) complaints.push('must not begin or end with a hyphen');
  return complaints;
}

/** Names of environment variables: printable ASCII without `=` (the rule since 1.33). */
export function isEnvVarName(value: string): string[] {
  if (value === '') return [`environment variable name ${empty}`];
  if (/^[ -<>-~]+$/.test(value)) return [];
  return ["a valid environment variable name must consist only of printable ASCII characters other than '='"];
}

/** Keys of config maps and secrets. They become file names, so nothing that means a folder. */
export function isConfigMapKey(value: string): string[] {
  const complaints = check(value, configKeyGrammar, subdomainLengthMax);
  if (value === '.') complaints.push("must not be '.'");
  else if (value === '..') complaints.push("must not be '..'");
  else if (value.startsWith('..')) complaints.push("must not start with '..'");
  return complaints;
}
