/**
 * `POST /portforward/NAMESPACE/POD?port=N`: one TCP connection to a port inside the pod's network namespace, as raw bytes. A
 * process enters the namespace and connects there: 127.0.0.1 of the pod is not the machine's. With `to=pod` it connects to the
 * pod's own address, as whoever comes over the network would: what a pod serves on its loopback alone stays its own. Each side may finish first and still
 * read the other (half-close): `shut-close` lets our end of the pipe see that the server has finished while socat lives on.
 */
import { spawn } from 'node:child_process';
import type { Duplex } from 'node:stream';
import { namespacesOf } from '../pods/sandbox.ts';
import type { PodWorker } from '../pods/worker.ts';

/** Resolves when both directions are done or either end has gone. */
export function servePortForward(
  worker: PodWorker,
  { port, host }: { port: number; host: string },
  socket: Duplex,
  head: Buffer,
): Promise<void> {
  const { net } = namespacesOf(worker.pod(), worker.paths);
  const connect = ['socat', '-t', '3600', 'STDIO,shut-close', `TCP:${host}:${port}`];
  const [command, ...args] = net ? ['nsenter', `--net=${net}`, ...connect] : connect;
  const child = spawn(command!, args, { stdio: ['pipe', 'pipe', 'ignore'] });
  return new Promise((resolve) => {
    const end = () => {
      child.kill('SIGKILL');
      socket.destroy();
      resolve();
    };
    child.once('error', end);
    child.stdin.on('error', () => {}); // The server closed its side; its answer may still be on the way.
    socket.once('error', end);
    socket.once('close', end);
    child.once('exit', () => {
      // What it wrote may still be in the pipe.
      if (child.stdout.readableEnded) resolve();
      else child.stdout.once('end', resolve);
    });
    if (head.length) child.stdin.write(head);
    socket.pipe(child.stdin);
    child.stdout.pipe(socket);
  });
}
