/** Named formats: `format.dns1123Label().validate(name)` gives what is wrong, or nothing. */
import { isDns1035Label, isDns1123Label, isDns1123Subdomain, isLabelValue, isQualifiedName } from '../../machinery/names.ts';
import { type Overload, overload } from '../functions.ts';
import { CelList } from '../lists.ts';
import { parseDate, parseTimestamp } from '../time.ts';
import { CelOpaque, CelOptional } from '../values.ts';
import { urlComplaint } from './network.ts';

export class CelFormat extends CelOpaque {
  readonly typeName = 'kubernetes.NamedFormat';
  readonly form: string;
  /** The length of the pattern that costs are counted with. */
  readonly patternSize: number;
  readonly complaints: (text: string) => string[];

  constructor(form: string, patternSize: number, complaints: (text: string) => string[]) {
    super();
    this.form = form;
    this.patternSize = patternSize;
    this.complaints = complaints;
  }
}

/** What a name that is completed later may begin with: it may end in a hyphen. */
const prefix = (check: (text: string) => string[]) => (text: string) =>
  check(text.length > 1 && text.endsWith('-') ? `${text.slice(0, -1)}a` : text);

const uuid = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i;
const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

const unless = (holds: (text: string) => boolean, complaint: string) => (text: string) => (holds(text) ? [] : [complaint]);

const formats: Record<string, CelFormat> = {
  dns1123Label: new CelFormat('DNS1123Label', 30, isDns1123Label),
  dns1123Subdomain: new CelFormat('DNS1123Subdomain', 60, isDns1123Subdomain),
  dns1035Label: new CelFormat('DNS1035Label', 30, isDns1035Label),
  qualifiedName: new CelFormat('QualifiedName', 60, isQualifiedName),
  dns1123LabelPrefix: new CelFormat('DNS1123LabelPrefix', 30, prefix(isDns1123Label)),
  dns1123SubdomainPrefix: new CelFormat('DNS1123SubdomainPrefix', 60, prefix(isDns1123Subdomain)),
  dns1035LabelPrefix: new CelFormat('DNS1035LabelPrefix', 30, prefix(isDns1035Label)),
  labelValue: new CelFormat('LabelValue', 40, isLabelValue),
  uri: new CelFormat('URI', 1000, (text) => {
    const complaint = urlComplaint(text);
    return complaint === undefined ? [] : [complaint];
  }),
  uuid: new CelFormat(
    'uuid',
    100,
    unless((text) => uuid.test(text), 'does not match the UUID format'),
  ),
  byte: new CelFormat(
    'byte',
    80,
    unless((text) => base64.test(text), 'invalid base64'),
  ),
  date: new CelFormat(
    'date',
    100,
    unless((text) => parseDate(text) !== undefined, 'invalid date'),
  ),
  datetime: new CelFormat(
    'datetime',
    100,
    unless((text) => parseTimestamp(text) !== undefined, 'invalid datetime'),
  ),
};

export const namedFormats: readonly Overload[] = [
  ...Object.entries(formats).map(([name, format]) => overload(`format.${name}`, `format.${name}(): Format`, () => format)),
  overload('format-named', 'format.named(string): optional(Format)', (name: string) =>
    Object.hasOwn(formats, name) ? new CelOptional(formats[name] as CelFormat) : CelOptional.none,
  ),
  overload('format-validate', 'Format.validate(string): optional(list(string))', (format: CelFormat, text: string) => {
    const complaints = format.complaints(text);
    return complaints.length === 0 ? CelOptional.none : new CelOptional(CelList.of(complaints));
  }),
];
