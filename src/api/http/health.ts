/**
 * `/livez`, `/readyz` and `/healthz`: all checks as one answer, or one of them below its name (`/readyz/quorum`). `?verbose` lists them,
 * `?exclude=NAME` passes over one. Why a check fails is told only to those who may ask for that check.
 */
import type { Exchange } from './exchange.ts';

export interface HealthCheck {
  name: string;
  /** Why it fails; undefined when it does not. */
  failure(): Promise<string | undefined>;
}

export const ping: HealthCheck = { name: 'ping', failure: async () => undefined };

/** `path` without its first slash. False when there is no such check. */
export async function serveHealth(exchange: Exchange, path: string, checks: readonly HealthCheck[]): Promise<boolean> {
  const [root = '', name, ...more] = path.split('/');
  if (name === undefined) await sendAll(exchange, root, checks);
  else {
    const check = checks.find((candidate) => candidate.name === name);
    if (!check || more.length > 0) return false;
    const failure = await check.failure();
    await sendText(exchange, failure === undefined ? 'ok' : `internal server error: ${failure}\n`, failure !== undefined);
  }
  return true;
}

async function sendAll(exchange: Exchange, root: string, checks: readonly HealthCheck[]): Promise<void> {
  const { query } = exchange;
  const excluded = new Set(query.getAll('exclude').filter((name) => name !== ''));
  const asked = checks.filter(({ name }) => !excluded.has(name));
  const failed = new Set<string>();
  await Promise.all(
    asked.map(async ({ name, failure }) => {
      if ((await failure()) !== undefined) failed.add(name);
    }),
  );
  const lines = checks.map(({ name }) => {
    if (excluded.has(name)) return `[+]${name} excluded: ok`;
    return failed.has(name) ? `[-]${name} failed: reason withheld` : `[+]${name} ok`;
  });
  const unknown = [...excluded].filter((name) => !checks.some((check) => check.name === name));
  if (unknown.length > 0) {
    const names = unknown.sort().map((name) => JSON.stringify(name));
    lines.push(`warn: some health checks cannot be excluded: no matches for ${names.join(',')}`);
  }
  const isFailed = failed.size > 0;
  const text = `${lines.join('\n')}\n${root} check ${isFailed ? 'failed' : 'passed'}\n`;
  await sendText(exchange, isFailed || query.has('verbose') ? text : 'ok', isFailed);
}

async function sendText(exchange: Exchange, text: string, isFailed: boolean): Promise<void> {
  exchange.setHeader('x-content-type-options', 'nosniff');
  await exchange.send(isFailed ? 500 : 200, 'text/plain; charset=utf-8', Buffer.from(text));
}
