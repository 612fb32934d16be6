/** An agent that is played by the test, an HTTP server with the streams in front of it, and a pod. */
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, request as httpRequest, type IncomingMessage, type Server } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { handlePodStream } from '../../src/api/streams/index.ts';
import type { AgentConnector, PodStreamRequest } from '../../src/api/types.ts';
import { silentLogger } from '../../src/lib/logger.ts';
import { type Status, serviceUnavailable } from '../../src/machinery/status.ts';
import { channels, encodeFrames, type Frame, FrameDecoder } from '../../src/machinery/stream-frames.ts';
import type { Pod } from '../../src/machinery/types.ts';

export const pod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'web', namespace: 'default', uid: 'u1' },
  spec: { nodeName: 'n1', containers: [{ name: 'app', image: 'x' }] },
} as Pod;

export const success: Status = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 200 };

/** What the agent says of a command that ended so. */
export const exited = (code: number): Status => ({
  kind: 'Status',
  apiVersion: 'v1',
  metadata: {},
  status: 'Failure',
  message: `command terminated with non-zero exit code: ${code}`,
  reason: 'NonZeroExitCode' as Status['reason'],
  details: { causes: [{ reason: 'ExitCode', message: String(code) }] },
  code: 500,
});

/** One upgraded connection as the agent sees it. */
export class AgentSession {
  readonly url: string;
  readonly socket: Duplex;
  readonly #frames: AsyncGenerator<Frame>;
  /** The other side has closed. */
  readonly closed: Promise<void>;

  constructor(url: string, socket: Duplex) {
    this.url = url;
    this.socket = socket;
    socket.on('error', () => socket.destroy());
    this.closed = new Promise((resolve) => {
      socket.once('end', resolve);
      socket.once('close', () => resolve());
    });
    // Sockets of an HTTP server stay half-open until both sides have ended.
    void this.closed.then(() => socket.end());
    this.#frames = frames(socket);
  }

  /** The next frame; fails when the connection is over. */
  async next(): Promise<Frame> {
    const { value, done } = await this.#frames.next();
    if (done) throw new Error('no more frames');
    return value;
  }

  /** Text of stdin until the client has closed it. */
  async stdinText(): Promise<string> {
    let text = '';
    for (;;) {
      const { channel, payload } = await this.next();
      if (channel === channels.close) return text;
      if (channel === channels.stdin) text += payload.toString();
    }
  }

  /** False when the connection takes no more for now. */
  write(channel: number, data: string | Buffer): boolean {
    return encodeFrames(channel, Buffer.from(data)).reduce((_room, frame) => this.socket.write(frame), true);
  }

  end(status: Status = success): void {
    this.write(channels.error, JSON.stringify(status));
    this.socket.end();
  }
}

async function* frames(socket: Duplex): AsyncGenerator<Frame> {
  const decoder = new FrameDecoder();
  for await (const chunk of socket) yield* decoder.push(chunk as Buffer);
}

export interface World {
  url: string;
  port: number;
  /** What the agent does with an upgrade; set by each test. */
  onSession: (session: AgentSession) => void | Promise<void>;
  /** Answers the agent's plain requests, and upgrades when it gives a Status. */
  refuse: Status | undefined;
  agents: AgentConnector;
  server: Server;
  /** How many streams have been served to their end. */
  finished: number;
  stop: AbortController;
  close(): Promise<void>;
}

export async function startWorld(of: Pod = pod): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'kontiki-streams-'));
  const socketPath = join(folder, 'agent.sock');
  const stop = new AbortController();
  const agentServer = createServer((request, response) => {
    if (world.refuse) return void response.writeHead(world.refuse.code).end(JSON.stringify(world.refuse));
    response.writeHead(200, { 'content-type': 'text/plain' });
    response.end(`log of ${request.url}\n`);
  });
  agentServer.on('upgrade', (request, socket) => {
    if (world.refuse) {
      const body = JSON.stringify(world.refuse);
      const head = `HTTP/1.1 ${world.refuse.code} No\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n`;
      return void socket.end(head + body);
    }
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: kontiki-stream\r\n\r\n');
    void world.onSession(new AgentSession(request.url ?? '', socket));
  });
  await new Promise<void>((resolve) => agentServer.listen(socketPath, resolve));
  const agents: AgentConnector = {
    async connect(nodeName) {
      if (nodeName !== 'n1') throw serviceUnavailable(`node ${nodeName} cannot be reached`);
      return connect(socketPath);
    },
  };
  const server = createServer((_request, response) => response.writeHead(404).end());
  const running = new Set<Promise<void>>();
  server.on('upgrade', (request, socket: Duplex, head) => {
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://x');
    const kind = pathname.split('/').pop() as PodStreamRequest['kind'];
    socket.on('error', () => socket.destroy());
    const stream = { kind, pod: of, request, socket, head, query: searchParams };
    const served = handlePodStream(stream, { agents, logger: silentLogger, signal: stop.signal }).then(() => {
      world.finished++;
      running.delete(served);
    });
    running.add(served);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const port = (server.address() as { port: number }).port;
  const world: World = {
    url: `127.0.0.1:${port}`,
    port,
    onSession: () => {},
    refuse: undefined,
    agents,
    server,
    finished: 0,
    stop,
    async close() {
      stop.abort(new Error('the test is over'));
      await Promise.all(running);
      await new Promise((resolve) => agentServer.close(resolve));
      await new Promise((resolve) => server.close(resolve));
      await rm(folder, { recursive: true });
    },
  };
  return world;
}

/** An upgrade by hand. Gives the answer, and the socket when it was accepted. */
export function upgrade(
  world: World,
  path: string,
  headers: Record<string, string | string[]>,
): Promise<{ response: IncomingMessage; socket?: Duplex; body: string }> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ host: '127.0.0.1', port: world.port, path, method: 'POST', agent: false, headers });
    request.on('upgrade', (response, socket, head) => {
      if (head.length) socket.unshift(head);
      socket.on('error', () => socket.destroy());
      resolve({ response, socket, body: '' });
    });
    request.on('response', async (response) => {
      let body = '';
      for await (const chunk of response) body += chunk;
      resolve({ response, body });
    });
    request.on('error', reject);
    request.end();
  });
}
