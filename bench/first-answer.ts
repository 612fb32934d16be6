/**
 * Asks pods over HTTP until they answer, from inside a machine's network namespace. `ask(ip)` resolves with the wall time of the
 * answer; the asking is done by a process that lives in the namespace, so that no sample pays for its start.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import http from 'node:http';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const port = 8080;
const againMs = 2;
const here = fileURLToPath(import.meta.url);

export class FirstAnswer {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<string, (wallMs: number) => void>();

  constructor(netnsFile: string) {
    const flags = ['--disable-warning=ExperimentalWarning', here];
    this.#child = spawn('nsenter', [`--net=${netnsFile}`, process.execPath, ...flags], { stdio: ['pipe', 'pipe', 'inherit'] });
    createInterface({ input: this.#child.stdout! }).on('line', (line) => {
      const [ip = '', wallMs] = line.split(' ');
      this.#waiting.get(ip)?.(Number(wallMs));
      this.#waiting.delete(ip);
    });
  }

  ask(ip: string): Promise<number> {
    return new Promise((resolve) => {
      this.#waiting.set(ip, resolve);
      this.#child.stdin!.write(`${ip}\n`);
    });
  }

  close(): void {
    this.#child.stdin!.end();
  }
}

function ask(ip: string): void {
  const again = () => setTimeout(() => ask(ip), againMs);
  const request = http.get({ host: ip, port, agent: false, timeout: 1_000 }, (response) => {
    response.resume();
    console.log(`${ip} ${performance.timeOrigin + performance.now()}`);
  });
  request.on('timeout', () => request.destroy());
  request.on('error', again);
}

if (process.argv[1] === here) {
  const input = createInterface({ input: process.stdin });
  input.on('line', ask);
  input.on('close', () => process.exit(0));
}
