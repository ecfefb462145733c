import { spawn, type ChildProcess } from 'node:child_process';

export interface ServingProcess {
  child: ChildProcess;
  url: string;
}

/** The built service in a process of its own on a free port, once it is ready. */
export async function startServing(store: string, args: readonly string[] = []): Promise<ServingProcess> {
  const child = spawn(
    process.execPath,
    ['dist/src/main.js', 'serve', '--port', '0', '--json', '--store', store, ...args],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const line = await new Promise<string>((resolve, reject) => {
    child.stdout!.once('data', (chunk) => resolve(String(chunk)));
    child.once('exit', (code) => reject(new Error(`the service ended with ${code}`)));
  });
  child.removeAllListeners('exit');
  return { child, url: (JSON.parse(line) as { url: string }).url };
}

export const postJson = (url: string, path: string, body: object): Promise<Response> =>
  fetch(url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });

/** A finished move as a balancer would report it; `number` tells them apart. */
export const reportedMove = (number: number): Record<string, unknown> & { id: string } => ({
  id: `reported-${number}`,
  instance: `vm${number % 500}`,
  source_node: `n${number % 20}`,
  target_node: `n${(number + 7) % 20}`,
  operation: 'live_migration',
  started_at: new Date(Date.now() - 30_000).toISOString(),
  duration_seconds: 5 + (number % 17),
  memory_mib: 1024 * (1 + (number % 8)),
});
