/** Warning headers (RFC 7234, code 299), which kubectl shows to people. */
const warningsMax = 100;
const textLengthMax = 256;

/** One header value for each text, without repetitions. */
export function warningHeaders(texts: readonly string[]): string[] {
  return [...new Set(texts)].slice(0, warningsMax).map((text) => {
    const printable = text.replace(/[^\x20-\x7e]/g, ' ').slice(0, textLengthMax);
    return `299 - "${printable.replace(/[\\"]/g, '\\$&')}"`;
  });
}
