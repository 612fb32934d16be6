/**
 * Terminal sizes come as JSON objects one after another, cut anywhere: `{"Width":80,"Height":24}`. This cuts them out; what
 * is no size is dropped, as a terminal of the old size does less harm than a session that ends.
 */
const sizeBytesMax = 1024;
const cellsMax = 0xffff;

export class TerminalSizes {
  #rest = '';

  /** The complete sizes, each as JSON of Width (columns) and Height (rows). */
  push(chunk: Buffer): string[] {
    const parts = (this.#rest + chunk.toString('latin1')).split('}');
    const rest = parts.pop() ?? '';
    this.#rest = rest.length <= sizeBytesMax ? rest : '';
    return parts.flatMap((part) => {
      const size = parseSize(`${part}}`);
      return size ? [JSON.stringify(size)] : [];
    });
  }
}

function parseSize(text: string): { Width: number; Height: number } | undefined {
  const width = field(text, 'Width');
  const height = field(text, 'Height');
  // Clients without a terminal of their own send zeros.
  if (!width || !height || width > cellsMax || height > cellsMax) return undefined;
  return { Width: width, Height: height };
}

/** Clients write the names in both cases. */
function field(text: string, name: string): number | undefined {
  const match = new RegExp(`"${name}"\\s*:\\s*(\\d{1,6})\\b`, 'i').exec(text);
  return match ? Number(match[1]) : undefined;
}
