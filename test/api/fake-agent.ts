/** Agents that forward ports: a pod's port leads to a server of the test, as far as one is given for it. */
import http from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import type { AgentConnector } from '../../src/api/types.ts';
import { serviceUnavailable } from '../../src/machinery/status.ts';
import { streamUpgrade } from '../../src/machinery/stream-frames.ts';

export interface FakeAgents {
  connector: AgentConnector;
  /** By `NODE NAMESPACE/POD:PORT`: the local port. */
  ports: Map<string, number>;
  /** Answers to plain requests, by path. */
  answers: Map<string, string>;
  /** What was asked for, in order. */
  asked: string[];
  close(): void;
}

export async function fakeAgents(): Promise<FakeAgents> {
  const ports = new Map<string, number>();
  const answers = new Map<string, string>();
  const asked: string[] = [];
  const server = http.createServer((request, response) => {
    const text = answers.get(request.url ?? '');
    response.writeHead(text === undefined ? 404 : 200, { 'content-type': 'application/json' }).end(text ?? '{}');
  });
  server.on('upgrade', (request, socket) => {
    const url = new URL(request.url ?? '/', 'http://agent');
    const [, what, namespace, pod] = url.pathname.split('/');
    const key = `${request.headers.node} ${namespace}/${pod}:${url.searchParams.get('port')}`;
    asked.push(`${key} ${url.searchParams.get('to')}`);
    const port = what === 'portforward' ? ports.get(key) : undefined;
    if (port === undefined) return void socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n');
    const backend = connect({ port, host: '127.0.0.1' });
    backend.on('error', () => socket.destroy());
    socket.on('error', () => backend.destroy());
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${streamUpgrade}\r\n\r\n`);
    socket.pipe(backend).pipe(socket);
    socket.on('close', () => backend.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const sockets = new Set<{ destroy(): void }>();
  return {
    ports,
    answers,
    asked,
    connector: {
      connect(nodeName) {
        return new Promise((resolve, reject) => {
          const socket = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1' });
          sockets.add(socket);
          // The requests of a link have no header for the node: what goes by gets one.
          const write = socket.write.bind(socket) as (...values: unknown[]) => boolean;
          let first = true;
          socket.write = ((chunk: unknown, ...rest: unknown[]) => {
            const text = first ? String(chunk).replace('\r\n', `\r\nnode: ${nodeName}\r\n`) : chunk;
            first = false;
            return write(text, ...rest);
          }) as typeof socket.write;
          socket.once('error', (error) => reject(serviceUnavailable(error.message)));
          socket.once('connect', () => resolve(socket));
        });
      },
    },
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      server.closeAllConnections();
    },
  };
}
