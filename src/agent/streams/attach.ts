/**
 * `POST /attach/…`: the standard streams of a container's own process. Output is its log, followed from the moment of attaching
 * (conmon writes every byte there, also of a terminal); input goes to conmon's attach socket, a SOCK_SEQPACKET that socat speaks.
 */
import { spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { errorMessage } from '../../lib/errors.ts';
import { channels } from '../../machinery/stream-frames.ts';
import { LineCutter, parseLogLine } from './cri-log.ts';
import { parseSize, type StreamFlags } from './exec.ts';
import { exitStatus, type FrameSocket, failureStatus } from './frame-socket.ts';
import { logEnd, readLog } from './log-file.ts';
import type { RunningContainer } from './targets.ts';

/** Resolves when the container has ended or the client has gone. */
export async function serveAttach(found: RunningContainer, flags: StreamFlags, socket: FrameSocket, head: Buffer): Promise<void> {
  const { worker, container, run, target } = found;
  const gone = new AbortController();
  const file = worker.paths.log(container.name, run.attempt);
  // Taken before the first byte of input goes in: what the program answers to it lies behind.
  const offset = await logEnd(file);
  // Paths of sockets end at 107 bytes: socat is started in the folder instead.
  const relay =
    flags.stdin && container.stdin
      ? spawn('socat', ['-u', 'STDIN', 'UNIX-CONNECT:attach,type=5'], { cwd: target.bundle, stdio: ['pipe', 'ignore', 'ignore'] })
      : undefined;
  relay?.on('error', () => gone.abort());
  relay?.stdin.on('error', () => {}); // The container ended: what still comes for it is dropped.
  relay?.stdin.on('drain', () => socket.resume());
  socket.listen(
    head,
    (frame) => {
      if (frame.channel === channels.stdin && relay && !relay.stdin.writableEnded)
        return relay.stdin.write(Buffer.from(frame.payload));
      if (frame.channel === channels.close && frame.payload[0] === channels.stdin) relay?.stdin.end();
      if (frame.channel === channels.resize && container.tty) void resize(target.bundle, frame.payload);
      return true;
    },
    () => gone.abort(),
  );
  try {
    const cutter = new LineCutter();
    const running = () => run.state === 'running';
    for await (const chunk of readLog({ file, tailLines: { offset }, running, signal: gone.signal })) {
      for (const bytes of cutter.push(chunk)) {
        const line = parseLogLine(bytes);
        if (!line || !flags[line.stream]) continue;
        if (!socket.send(channels[line.stream], line.content)) await socket.drained();
      }
    }
    // Attaching went well, however the container ended: clients read its exit code from the pod.
    socket.finish(exitStatus(0));
  } catch (error) {
    socket.finish(failureStatus(errorMessage(error)));
  } finally {
    relay?.stdin.end();
  }
}

/** conmon takes `1 ROWS COLUMNS` on its control pipe. A container that just ended has no reader there: nothing to resize. */
async function resize(bundle: string, payload: Buffer): Promise<void> {
  const size = parseSize(payload);
  if (!size) return;
  const handle = await open(join(bundle, 'ctl'), constants.O_WRONLY | constants.O_NONBLOCK).catch(() => undefined);
  try {
    await handle?.write(`1 ${size.rows} ${size.columns}\n`);
  } finally {
    await handle?.close();
  }
}
