/** What string and bytes literals mean: escapes, raw and triple-quoted forms. Source: the language definition, "Lexis". */

const simple: Record<string, string> = {
  a: '\u0007',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  "'": "'",
  '"': '"',
  '`': '`',
  '?': '?',
};

const hexLengths: Record<string, number> = { x: 2, X: 2, u: 4, U: 8 };

/** The code point (or byte) after a backslash, and how many units it took; undefined when it is no escape. */
function escapeAt(body: string, index: number): { code: number; length: number; bytewise: boolean } | undefined {
  const letter = body[index] as string | undefined;
  if (letter === undefined) return undefined;
  const plain = simple[letter];
  if (plain !== undefined) return { code: plain.charCodeAt(0), length: 1, bytewise: false };
  const hexLength = hexLengths[letter];
  if (hexLength !== undefined) {
    const digits = body.slice(index + 1, index + 1 + hexLength);
    if (digits.length !== hexLength || !/^[0-9a-fA-F]+$/.test(digits)) return undefined;
    return { code: Number.parseInt(digits, 16), length: 1 + hexLength, bytewise: hexLength === 2 };
  }
  const octal = body.slice(index, index + 3);
  if (/^[0-3][0-7][0-7]$/.test(octal)) return { code: Number.parseInt(octal, 8), length: 3, bytewise: true };
  return undefined;
}

const isCodePoint = (code: number) => code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff);

/** The text between the quotes, without prefix. `undefined` when an escape is not valid. */
export function stringContent(body: string, raw: boolean): string | undefined {
  if (raw || !body.includes('\\')) return body.replaceAll('\r\n', '\n').replaceAll('\r', '\n');
  let content = '';
  let index = 0;
  while (index < body.length) {
    const slash = body.indexOf('\\', index);
    if (slash < 0) return content + body.slice(index);
    content += body.slice(index, slash);
    const code = escapeAt(body, slash + 1);
    if (!code || !isCodePoint(code.code)) return undefined;
    content += String.fromCodePoint(code.code);
    index = slash + 1 + code.length;
  }
  return content;
}

/** As above for `b"…"`: `\xHH` and octal escapes are bytes, everything else is UTF-8. Escapes of code points are not allowed. */
export function bytesContent(body: string, raw: boolean): Uint8Array | undefined {
  if (raw || !body.includes('\\')) return Buffer.from(body, 'utf8');
  const parts: Buffer[] = [];
  let index = 0;
  while (index < body.length) {
    const slash = body.indexOf('\\', index);
    if (slash < 0) {
      parts.push(Buffer.from(body.slice(index), 'utf8'));
      break;
    }
    parts.push(Buffer.from(body.slice(index, slash), 'utf8'));
    const code = escapeAt(body, slash + 1);
    if (!code || (!code.bytewise && code.length > 1)) return undefined;
    parts.push(Buffer.from([code.code]));
    index = slash + 1 + code.length;
  }
  return new Uint8Array(Buffer.concat(parts));
}
