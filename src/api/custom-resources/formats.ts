/**
 * The formats of strings that are checked; others say something to people only. Source: the list on the Kubernetes page "Extend the
 * Kubernetes API with CustomResourceDefinitions", section "Validation".
 */
import { isIP } from 'node:net';
import { isDns1123Label, isDns1123Subdomain } from '../../machinery/names.ts';

const shape =
  (expression: RegExp) =>
  (value: string): boolean =>
    expression.test(value);

const uuid = (version: string) =>
  shape(new RegExp(`^[0-9a-f]{8}-?[0-9a-f]{4}-?${version}[0-9a-f]{3}-?[0-9a-f]{4}-?[0-9a-f]{12}$`, 'i'));
const daysOf = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

function isDate(value: string): boolean {
  const parsed = /^(\d{4})-(\d\d)-(\d\d)$/.exec(value);
  if (!parsed) return false;
  const [year, month, day] = parsed.slice(1).map(Number) as [number, number, number];
  const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  if (month < 1 || month > 12 || day < 1) return false;
  return day <= (month === 2 && !leap ? 28 : (daysOf[month - 1] ?? 0));
}

function isDateTime(value: string): boolean {
  const parsed = /^(\d{4}-\d\d-\d\d)[Tt ](\d\d):(\d\d):(\d\d)(\.\d+)?([Zz]|[+-]\d\d:?\d\d)?$/.exec(value);
  if (!parsed) return false;
  return isDate(parsed[1] ?? '') && Number(parsed[2]) < 24 && Number(parsed[3]) < 60 && Number(parsed[4]) <= 60;
}

function isCidr(value: string): boolean {
  const [address = '', bits = '', ...more] = value.split('/');
  const family = isIP(address);
  return more.length === 0 && family !== 0 && /^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128);
}

function isUri(value: string): boolean {
  return value.startsWith('/') ? !/[\s\p{Cc}]/u.test(value) : URL.canParse(value);
}

const goDuration = /^[-+]?(0|((\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h|d|w))+)$/;

const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

const hostname = shape(
  /^(?=.{1,255}$)([a-zA-Z0-9_]([a-zA-Z0-9_-]{0,61}[a-zA-Z0-9_])?)(\.[a-zA-Z0-9_]([a-zA-Z0-9_-]{0,61}[a-zA-Z0-9_])?)*\.?$/,
);

const checks: Record<string, (value: string) => boolean> = {
  bsonobjectid: shape(/^[0-9a-f]{24}$/i),
  uri: isUri,
  email: shape(/^[^\s@<>(),;:\\"]+@[^\s@<>(),;:\\"]+$/),
  hostname,
  ipv4: (value) => isIP(value) === 4,
  ipv6: (value) => isIP(value) === 6,
  cidr: isCidr,
  mac: shape(/^([0-9a-f]{2}[:-]){5}[0-9a-f]{2}$|^([0-9a-f]{2}[:-]){7}[0-9a-f]{2}$|^([0-9a-f]{4}\.){2,3}[0-9a-f]{4}$/i),
  uuid: uuid('[0-9a-f]'),
  uuid3: uuid('3'),
  uuid4: shape(/^[0-9a-f]{8}-?[0-9a-f]{4}-?4[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}$/i),
  uuid5: shape(/^[0-9a-f]{8}-?[0-9a-f]{4}-?5[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}$/i),
  hexcolor: shape(/^#?([0-9a-f]{3}|[0-9a-f]{6})$/i),
  rgbcolor: shape(/^rgb\(\s*(\d|[1-9]\d|1\d\d|2[0-4]\d|25[0-5])(\s*,\s*(\d|[1-9]\d|1\d\d|2[0-4]\d|25[0-5])){2}\s*\)$/),
  ssn: shape(/^\d{3}[- ]?\d{2}[- ]?\d{4}$/),
  byte: shape(base64),
  date: isDate,
  duration: shape(goDuration),
  datetime: isDateTime,
  'k8s-short-name': (value) => isDns1123Label(value).length === 0,
  'k8s-long-name': (value) => isDns1123Subdomain(value).length === 0,
};

/** `date-time` and `date_time` are `datetime`. True for formats that are not checked. */
export function fitsFormat(value: string, format: string): boolean {
  const name = format.replace(/[-_]/g, '');
  const check = Object.hasOwn(checks, format) ? checks[format] : Object.hasOwn(checks, name) ? checks[name] : undefined;
  return check?.(value) ?? true;
}
