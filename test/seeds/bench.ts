/** Where a case of a tutorial runs: a namespace of its own in the shared cluster, driven by the stock kubectl. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import * as assert from 'uvu/assert';
import type { Client } from '../../src/machinery/client.ts';
import { events, namespaces, pods, serviceAccounts } from '../../src/machinery/resources.ts';
import { isReason } from '../../src/machinery/status.ts';
import type { Pod } from '../../src/machinery/types.ts';
import type { Lab, Outcome } from '../support/lab.ts';

interface Options {
  input?: string;
  version?: string;
}

export class Bench {
  readonly lab: Lab;
  readonly namespace: string;
  readonly client: Client;

  constructor(lab: Lab, client: Client, namespace: string) {
    this.lab = lab;
    this.client = client;
    this.namespace = namespace;
  }

  /** Makes the namespace, and waits until pods can be made in it. */
  async open(): Promise<this> {
    try {
      await this.client.create(namespaces, { metadata: { name: this.namespace } });
    } catch (error) {
      if (!isReason(error, 'AlreadyExists')) throw error; // kube-public is there
    }
    await this.lab.eventually(`the account of ${this.namespace}`, () =>
      this.client.get(serviceAccounts, 'default', { namespace: this.namespace }),
    );
    return this;
  }

  /** kubectl with words as one types them; quotes are not understood. More words follow as they are. */
  kubectl(line: string, more: string[] = [], options: Options = {}): Promise<Outcome> {
    return this.lab.kubectl(['-n', this.namespace, ...line.split(' '), ...more], options);
  }

  /** Standard output of a kubectl that must succeed. */
  ok(line: string, more: string[] = [], options: Options = {}): Promise<string> {
    return this.lab.ok(['-n', this.namespace, ...line.split(' '), ...more], options);
  }

  /** kubectl apply -f -, as with the file of the tutorial. */
  apply(manifest: string): Promise<string> {
    return this.ok('apply -f -', [], { input: manifest });
  }

  /** What stands against it. */
  async refused(manifest: string, ...args: string[]): Promise<string> {
    const outcome = await this.kubectl('apply -f -', args, { input: manifest });
    assert.is(outcome.code, 1, `taken: ${outcome.stdout}`);
    return outcome.stderr;
  }

  async ready(...names: string[]): Promise<void> {
    for (const name of names)
      await this.podUntil(name, 'is ready', (pod) =>
        pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True'),
      );
  }

  phase(name: string, phase: string): Promise<Pod> {
    return this.podUntil(name, `is ${phase}`, (pod) => pod.status?.phase === phase);
  }

  restarts(name: string, count: number): Promise<Pod> {
    return this.podUntil(name, `${count} restarts`, (pod) => (pod.status?.containerStatuses?.[0]?.restartCount ?? 0) >= count);
  }

  /** `kubectl exec NAME -- sh -c SCRIPT`. */
  sh(name: string, script: string, container?: string): Promise<string> {
    return this.ok(`exec ${name}${container ? ` -c ${container}` : ''} --`, ['sh', '-c', script]);
  }

  /** A kubectl with a terminal, to which `input` is typed once there is a prompt; all that the terminal showed. */
  async terminal(line: string, input: string): Promise<string> {
    const command = `kubectl -n ${this.namespace} ${line}`;
    const env = { ...process.env, KUBECONFIG: `${this.lab.dir}/kubeconfig` };
    const session = spawn('script', ['-qec', command, '/dev/null'], { env, stdio: ['pipe', 'pipe', 'inherit'] });
    const timer = setTimeout(() => session.kill('SIGKILL'), 90_000);
    let [seen, typed] = ['', false];
    session.stdout.on('data', (chunk) => {
      seen += chunk;
      if (typed || !/# |press(ing)? enter/.test(seen)) return;
      typed = true;
      session.stdin.write(input);
    });
    await once(session, 'close');
    clearTimeout(timer);
    return seen;
  }

  async podUntil(name: string, what: string, test: (pod: Pod) => unknown): Promise<Pod> {
    let last: Pod | undefined;
    try {
      return await this.lab.eventually(`${name} ${what}`, async () => {
        last = await this.client.get(pods, name, { namespace: this.namespace });
        return test(last) ? last : undefined;
      });
    } catch (error) {
      const told = await this.#events(name);
      throw new Error(`${(error as Error).message}\n${JSON.stringify(last?.status)}\n${told.join('\n')}`);
    }
  }

  async gone(name: string): Promise<void> {
    await this.lab.eventually(`${name} is gone`, async () => {
      try {
        await this.client.get(pods, name, { namespace: this.namespace });
      } catch (error) {
        if (isReason(error, 'NotFound')) return true;
        throw error;
      }
      return undefined;
    });
  }

  /** Waits for an event about `name`, in the form `Reason: message`. */
  event(name: string, pattern: RegExp): Promise<string> {
    return this.lab.eventually(`${name}: event ${pattern}`, async () => {
      const told = await this.#events(name);
      const found = told.find((text) => pattern.test(text));
      if (found === undefined) throw new Error(told.join('\n'));
      return found;
    });
  }

  async #events(name: string): Promise<string[]> {
    const { items } = await this.client.list(events, { namespace: this.namespace });
    return items
      .filter(({ involvedObject }) => involvedObject?.name === name)
      .map(({ reason, message }) => `${reason}: ${message}`);
  }
}

/** As assert.match, but says what it saw. */
export function shows(text: string, pattern: RegExp | string): void {
  const found = typeof pattern === 'string' ? text.includes(pattern) : pattern.test(text);
  if (!found) throw new Error(`expected ${pattern} in:\n${text}`);
}

/** One row of the table. */
export interface SeedCase {
  /** What the tutorial says. */
  title: string;
  /** The manifests: number of the tutorial, kind, name (`-` where it has none). */
  of: string[];
  /** Where it is done otherwise than the text does it: because Kubernetes 1.33 does, or because the text does not run as it is. */
  because?: string;
  /** An existing namespace, instead of one of its own. */
  namespace?: string;
  run(bench: Bench): Promise<void>;
}
