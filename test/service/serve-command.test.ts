import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import type { Context } from '../../src/commands/context.js';
import { main } from '../../src/main.js';

const folder = mkdtempSync(join(tmpdir(), 'movecast-serve-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Run {
  code: Promise<number>;
  stdout: PassThrough;
  out: () => string;
  err: () => string;
}

function run(...args: string[]): Run {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  let out = '';
  let err = '';
  stdout.on('data', (chunk) => (out += String(chunk)));
  stderr.on('data', (chunk) => (err += String(chunk)));
  const context: Context = { stdin: new PassThrough(), stdout, stderr, env: {}, now: Date.now };
  return { code: main(args, context), stdout, out: () => out, err: () => err };
}

const store = ['--store', 'sqlite::memory:'];

describe('movecast serve', () => {
  it('refuses to listen beyond loopback without tokens: exit 2, and says what would allow it', async () => {
    const { code, err } = run('serve', '--host', '0.0.0.0', '--port', '0', ...store);
    expect(await code).toBe(2);
    expect(err()).toMatch(/^movecast: refusing to listen on 0\.0\.0\.0 without tokens.*--insecure.*\n$/);
  });

  it('says in one sentence that a port is in use: exit 1', async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const { port } = taken.address() as AddressInfo;
    const { code, err } = run('serve', '--port', String(port), ...store);
    expect(await code).toBe(1);
    expect(err()).toBe(
      `movecast: cannot listen on 127.0.0.1:${port}: the address is already in use; choose another with --host or --port\n`,
    );
    await new Promise((resolve) => taken.close(resolve));
  });

  it.each([
    [['--model', 'nosuch'], 2, /no model nosuch/],
    [['--port', '70000'], 2, /port/],
    [['--tokens', join(folder, 'absent.txt')], 2, /absent\.txt: no such file/],
    [['--add-token', 'x:predict'], 2, /--tokens FILE/],
    [['--add-token', 'x:king', '--tokens', join(folder, 'k.txt')], 2, /roles out of predict, report, admin/],
  ])('serve %j: exit %i, one sentence', async (args, exitCode, sentence) => {
    const { code, err } = run('serve', ...args, ...store);
    expect(await code).toBe(exitCode);
    expect(err()).toMatch(sentence);
    expect(err().trim().split('\n')).toHaveLength(1);
  });

  it('adds a token: prints it once, keeps a hash in a file that only its owner reads', async () => {
    const file = join(folder, 'tokens.txt');
    const { code, out } = run('serve', '--tokens', file, '--add-token', 'balancer:predict,report');
    expect(await code).toBe(0);
    expect(out()).toMatch(/^[A-Za-z0-9_-]{43}\n$/);
    const text = readFileSync(file, 'utf8');
    expect(text).toMatch(/^balancer predict,report sha256:[0-9a-f]{64}\n$/);
    expect(text).not.toContain(out().trim());
    expect(statSync(file).mode & 0o077).toBe(0);
  });

  it('refuses a tokens file that everyone may write', async () => {
    const file = join(folder, 'open-tokens.txt');
    await run('serve', '--tokens', file, '--add-token', 'balancer:predict').code;
    chmodSync(file, 0o666);
    const { code, err } = run('serve', '--port', '0', '--tokens', file, ...store);
    expect(await code).toBe(2);
    expect(err()).toMatch(
      /^movecast: .+open-tokens\.txt: everyone on this machine may write it .+ chmod o-w .+\n$/,
    );
  });

  describe('running', () => {
    let service: Run;
    let url: string;
    beforeAll(async () => {
      service = run('serve', '--port', '0', ...store);
      const ended = service.code.then((code) =>
        Promise.reject(new Error(`ended with ${code}: ${service.err()}`)),
      );
      await Promise.race([new Promise((resolve) => service.stdout.once('data', resolve)), ended]);
      ended.catch(() => undefined);
      url = /Movecast is at (\S+)/.exec(service.out())![1]!;
    });

    it('prints its address and a curl whose body it answers, and stops at SIGTERM with exit 0', async () => {
      const [, path, body] = /curl \S+:\d+(\/\S+)[\s\S]*-d '(.+)'/.exec(service.out())!;
      for (;;) if ((await fetch(`${url}/readyz`)).ok) break;
      const answer = await fetch(url + path!, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: body!,
      });
      const { predictions } = (await answer.json()) as {
        predictions: { duration_seconds: { p50: number } }[];
      };
      expect(predictions[0]!.duration_seconds.p50).toBeGreaterThan(0);
      process.emit('SIGTERM');
      expect(await service.code).toBe(0);
    });
  });
});

describe('movecast accuracy', () => {
  it('says what to do when there is nothing to compare', async () => {
    const empty = run('accuracy', ...store);
    expect(await empty.code).toBe(0);
    expect(empty.out()).toMatch(/held no moves; read some with movecast collect/);
  });

  it('refuses a span of time that is none, naming the option', async () => {
    const { code, err } = run('accuracy', '--window', 'soon', ...store);
    expect(await code).toBe(2);
    expect(err()).toMatch(
      /^movecast: --window "soon" is not a span of time; give one such as 90m, 12h, 7d, 4w or all\n$/,
    );
  });

  it('keeps the password to itself when the store is down: exit 1', async () => {
    const { code, out, err } = run('accuracy', '--store', 'influx://u:topsecret@127.0.0.1:1/none');
    expect(await code).toBe(1);
    expect(err().trim().split('\n')).toHaveLength(1);
    expect(out() + err()).not.toContain('topsecret');
  });
});
