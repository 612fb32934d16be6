/**
 * The tar headers of image layers: POSIX ustar with pax records and GNU long names (POSIX.1-2017 pax, GNU tar manual "Basic
 * Tar Format"). Our own because names and extended attributes must pass byte for byte (file capabilities are binary),
 * which string-based libraries do not promise. Strings here are latin1: one character is one byte.
 */
export const blockBytes = 512;
/** Of one pax header or long name. */
export const metadataBytesMax = 1024 * 1024;

export interface TarHeader {
  /** '0' file, '1' hard link, '2' symbolic link, '3' character device, '4' block device, '5' folder, '6' FIFO. */
  type: string;
  path: string;
  linkPath: string;
  mode: number;
  uid: number;
  gid: number;
  sizeBytes: number;
  /** Seconds since 1970 as decimal text, maybe with a fraction. */
  modified: string;
  deviceMajor: number;
  deviceMinor: number;
  /** SCHILY.xattr.* by the name of the attribute. */
  attributes: Map<string, Buffer>;
}

/** Thrown for bytes that are no tar file; callers turn it into an error of their own. */
export class TarError extends Error {}

/** Reads the plain header of one block; undefined for a block of zeros (the end mark). */
export function decodeHeader(block: Buffer): TarHeader | undefined {
  if (block.every((byte) => byte === 0)) return undefined;
  let sum = 0;
  for (let at = 0; at < blockBytes; at++) sum += at >= 148 && at < 156 ? 32 : block[at]!;
  if (sum !== number(block, 148, 8)) throw new TarError('a header has a wrong checksum');
  const type = String.fromCharCode(block[156]!).replace('\0', '0').replace('7', '0');
  const isPosix = block.toString('latin1', 257, 263) === 'ustar\0';
  const prefix = isPosix ? text(block, 345, 155) : '';
  const name = text(block, 0, 100);
  const path = prefix ? `${prefix}/${name}` : name;
  const hasBody = type === '0' || /[^1-6]/.test(type);
  return {
    // Before POSIX a folder was a file whose name ends in a slash.
    type: type === '0' && path.endsWith('/') ? '5' : type,
    path,
    linkPath: text(block, 157, 100),
    mode: number(block, 100, 8) & 0o7777,
    uid: number(block, 108, 8),
    gid: number(block, 116, 8),
    sizeBytes: hasBody ? number(block, 124, 12) : 0,
    modified: String(number(block, 136, 12)),
    deviceMajor: number(block, 329, 8),
    deviceMinor: number(block, 337, 8),
    attributes: new Map(),
  };
}

function text(block: Buffer, at: number, length: number): string {
  const end = block.indexOf(0, at);
  return block.toString('latin1', at, end < 0 ? at + length : Math.min(end, at + length));
}

/** Octal text, or base 256 when the top bit is set. */
function number(block: Buffer, at: number, length: number): number {
  const first = block[at]!;
  if (first & 0x80) {
    if (first === 0xff) throw new TarError('a header has a negative number');
    let value = first & 0x7f;
    for (let i = 1; i < length; i++) value = value * 256 + block[at + i]!;
    if (!Number.isSafeInteger(value)) throw new TarError('a header has a number that is too large');
    return value;
  }
  const digits = text(block, at, length).trim();
  if (digits === '') return 0;
  if (!/^[0-7]+$/.test(digits)) throw new TarError('a header has a malformed number');
  return Number.parseInt(digits, 8);
}

/** The records of a pax header: `<length> <key>=<value>\n`. */
export function decodePax(body: Buffer): Map<string, Buffer> {
  const records = new Map<string, Buffer>();
  for (let at = 0; at < body.length; ) {
    const space = body.indexOf(32, at);
    const length = Number(body.toString('latin1', at, Math.max(at, space)));
    const equals = body.indexOf(61, space);
    if (
      space < 0 ||
      !Number.isInteger(length) ||
      length < 5 ||
      equals < 0 ||
      at + length > body.length ||
      equals >= at + length
    ) {
      if (body.subarray(at).every((byte) => byte === 0)) break;
      throw new TarError('a pax header is malformed');
    }
    records.set(body.toString('latin1', space + 1, equals), Buffer.from(body.subarray(equals + 1, at + length - 1)));
    at += length;
  }
  return records;
}

const attributePrefix = 'SCHILY.xattr.';

/** What pax records say in place of the plain header. */
export function applyPax(header: TarHeader, records: Map<string, Buffer>): void {
  for (const [key, value] of records) {
    const content = value.toString('latin1');
    if (key === 'path') header.path = content;
    else if (key === 'linkpath') header.linkPath = content;
    else if (key === 'size') header.sizeBytes = header.type === '0' ? paxNumber(content) : 0;
    else if (key === 'uid') header.uid = paxNumber(content);
    else if (key === 'gid') header.gid = paxNumber(content);
    else if (key === 'mtime' && /^-?\d{1,15}(\.\d{1,9})?$/.test(content)) header.modified = content;
    else if (key.startsWith(attributePrefix)) header.attributes.set(key.slice(attributePrefix.length), value);
    else if (key.startsWith('GNU.sparse.')) throw new TarError('sparse files are not supported');
  }
  if (header.type === '0' && header.path.endsWith('/')) header.type = '5';
}

function paxNumber(content: string): number {
  const value = Number(content);
  if (!/^\d+$/.test(content) || !Number.isSafeInteger(value)) throw new TarError('a pax header has a malformed number');
  return value;
}

/** One entry's headers: pax records for whatever has no room in the plain header, then the plain header. */
export function encodeHeader(header: TarHeader): Buffer {
  const records: [string, Buffer][] = [];
  const latin = (value: string) => Buffer.from(value, 'latin1');
  if (header.path.length > 100) records.push(['path', latin(header.path)]);
  if (header.linkPath.length > 100) records.push(['linkpath', latin(header.linkPath)]);
  if (header.sizeBytes > 0o77777777777) records.push(['size', latin(String(header.sizeBytes))]);
  if (header.uid > 0o7777777) records.push(['uid', latin(String(header.uid))]);
  if (header.gid > 0o7777777) records.push(['gid', latin(String(header.gid))]);
  if (!/^\d{1,10}$/.test(header.modified)) records.push(['mtime', latin(header.modified)]);
  for (const [name, value] of header.attributes) records.push([`${attributePrefix}${name}`, value]);
  const plain = encodePlain(header);
  if (records.length === 0) return plain;
  const body = Buffer.concat(records.map(([key, value]) => encodeRecord(key, value)));
  const pax = encodePlain({ ...header, type: 'x', path: 'pax', linkPath: '', sizeBytes: body.length, mode: 0o644 });
  return Buffer.concat([pax, body, Buffer.alloc(paddingBytes(body.length)), plain]);
}

function encodeRecord(key: string, value: Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`, 'latin1'), value, Buffer.from('\n')]);
  let length = rest.length;
  // The length counts its own digits.
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

function encodePlain(header: TarHeader): Buffer {
  const block = Buffer.alloc(blockBytes);
  const octal = (value: number, at: number, digits: number) => {
    const fits = value >= 0 && value < 8 ** digits;
    block.write((fits ? value : 0).toString(8).padStart(digits, '0'), at, 'latin1');
  };
  // A cut name could end in a slash, which readers take for a folder; the pax record has the whole one.
  block.write(header.path.length > 100 ? 'long' : header.path, 0, 'latin1');
  octal(header.mode, 100, 7);
  octal(header.uid, 108, 7);
  octal(header.gid, 116, 7);
  octal(header.sizeBytes, 124, 11);
  octal(Math.floor(Number(header.modified)), 136, 11);
  block.write('        ', 148, 'latin1');
  block.write(header.type, 156, 'latin1');
  block.write(header.linkPath.slice(0, 100), 157, 'latin1');
  block.write('ustar\0' + '00', 257, 'latin1');
  octal(header.deviceMajor, 329, 7);
  octal(header.deviceMinor, 337, 7);
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

/** Zeros after a body of this length, up to the next block. */
export function paddingBytes(length: number): number {
  return (blockBytes - (length % blockBytes)) % blockBytes;
}
