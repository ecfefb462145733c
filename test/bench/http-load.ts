import { connect, type Socket } from 'node:net';

/** One request as bytes, sent again and again over kept-alive connections. */
export function requestBytes(path: string, body: string, headers: Record<string, string> = {}): Buffer {
  const lines = [
    `POST ${path} HTTP/1.1`,
    'host: 127.0.0.1',
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ];
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body}`);
}

export interface LoadResult {
  answered: number;
  /** Answers that were not 200, and connections that broke. */
  failed: number;
  seconds: number;
  /** Milliseconds from when a request was due to when its answer was there, sorted. */
  latenciesMs: Float64Array;
}

/** One connection: reads answers by their Content-Length, one at a time. */
class Connection {
  private readonly socket: Socket;
  private pending: Buffer = Buffer.alloc(0);
  private answered: ((status: number) => void) | undefined;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.take(chunk));
    socket.on('close', () => this.answered?.(0));
    socket.on('error', () => undefined);
  }

  static open(port: number): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () => resolve(new Connection(socket)));
      socket.once('error', reject);
    });
  }

  /** Sends one request; resolves with the status, 0 when the connection broke. */
  ask(bytes: Buffer): Promise<number> {
    return new Promise((resolve) => {
      this.answered = resolve;
      this.socket.write(bytes);
    });
  }

  close(): void {
    this.socket.destroy();
  }

  private take(chunk: Buffer): void {
    this.pending = this.pending.length === 0 ? chunk : Buffer.concat([this.pending, chunk]);
    const headEnd = this.pending.indexOf('\r\n\r\n');
    if (headEnd < 0) return;
    const head = this.pending.toString('latin1', 0, headEnd);
    const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
    if (this.pending.length < headEnd + 4 + length) return;
    this.pending = this.pending.subarray(headEnd + 4 + length);
    const done = this.answered;
    this.answered = undefined;
    done?.(Number(head.slice(9, 12)));
  }
}

/** As fast as the server answers, over so many connections. */
export async function closedLoop(
  port: number,
  bytes: Buffer,
  connections: number,
  seconds: number,
): Promise<LoadResult> {
  const open = await Promise.all(Array.from({ length: connections }, () => Connection.open(port)));
  const latencies: number[] = [];
  let failed = 0;
  const startedMs = performance.now();
  const endMs = startedMs + seconds * 1000;
  await Promise.all(
    open.map(async (connection) => {
      for (;;) {
        const sentMs = performance.now();
        if (sentMs >= endMs) return;
        if ((await connection.ask(bytes)) === 200) latencies.push(performance.now() - sentMs);
        else failed += 1;
      }
    }),
  );
  const took = (performance.now() - startedMs) / 1000;
  for (const connection of open) connection.close();
  return {
    answered: latencies.length,
    failed,
    seconds: took,
    latenciesMs: Float64Array.from(latencies).sort(),
  };
}

/**
 * So many requests a second, each due at its own moment whether earlier ones are answered or not: a server that stalls
 * cannot hide it by slowing its caller down (coordinated omission).
 */
export async function openLoop(
  port: number,
  bytes: Buffer,
  connections: number,
  perSecond: number,
  seconds: number,
): Promise<LoadResult> {
  const idle = await Promise.all(Array.from({ length: connections }, () => Connection.open(port)));
  const all = [...idle];
  const due: number[] = [];
  const latencies: number[] = [];
  let failed = 0;
  let underWay = 0;
  const startedMs = performance.now();
  const send = (): void => {
    while (due.length > 0 && idle.length > 0) {
      const connection = idle.pop()!;
      const dueMs = due.shift()!;
      underWay += 1;
      void connection.ask(bytes).then((status) => {
        underWay -= 1;
        if (status === 200) latencies.push(performance.now() - dueMs);
        else failed += 1;
        idle.push(connection);
        send();
      });
    }
  };
  const total = perSecond * seconds;
  let scheduled = 0;
  for (;;) {
    if (scheduled === total && underWay === 0 && due.length === 0) break;
    const nowMs = performance.now();
    while (scheduled < total && startedMs + (scheduled * 1000) / perSecond <= nowMs) {
      due.push(startedMs + (scheduled * 1000) / perSecond);
      scheduled += 1;
    }
    send();
    // A caller that spins would take a core from the server; so the latency holds up to a millisecond of the caller's own sleep.
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  const took = (performance.now() - startedMs) / 1000;
  for (const connection of all) connection.close();
  return {
    answered: latencies.length,
    failed,
    seconds: took,
    latenciesMs: Float64Array.from(latencies).sort(),
  };
}

export const percentile = (sorted: Float64Array, p: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(p * sorted.length))] ?? NaN;
