import { afterAll, describe, expect, it } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCommand } from './run-command.js';

const folder = mkdtempSync(join(tmpdir(), 'movecast-config-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const config = (args: string[], env: Record<string, string> = {}) => runCommand(['config', ...args], { env });

function file(name: string, content: unknown): string {
  const path = join(folder, name);
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

describe('movecast config', () => {
  it('shows that a flag wins over the environment, the environment over the file, the file over the default', async () => {
    const path = file('movecast.json', {
      host: 'file-host',
      port: 1001,
      model: 'file-model',
      log_level: 'info',
    });
    const { code, out } = await config(['--config', path, '--port', '1003', '--json'], {
      MOVECAST_PORT: '1002',
      MOVECAST_MODEL: 'env-model',
    });
    expect(code).toBe(0);
    const shown = JSON.parse(out);
    expect(shown.port).toEqual({ value: 1003, from: '--port' });
    expect(shown.model).toEqual({ value: 'env-model', from: 'MOVECAST_MODEL' });
    expect(shown.host).toEqual({ value: 'file-host', from: path });
    expect(shown.log_level).toEqual({ value: 'info', from: path });
    expect(shown.timeout_seconds).toEqual({ value: 30, from: 'default' });
  });

  it('shows no password', async () => {
    const { out } = await config([], { MOVECAST_STORE: 'influx://me:hunter2@db:8086/moves' });
    expect(out).toMatch(/^store +influx:\/\/me:\*\*\*@db:8086\/moves +MOVECAST_STORE$/m);
    expect(out).not.toContain('hunter2');
    const json = await config(['--json'], { MOVECAST_STORE: 'influx://me:hunter2@db:8086/moves' });
    expect(json.out).not.toContain('hunter2');
  });

  it.each([
    [['--port', 'x'], {}, /--port must be a whole number/],
    [['--port', '70000'], {}, /--port must be a whole number from 0 to 65535/],
    [[], { MOVECAST_INSECURE: 'maybe' }, /MOVECAST_INSECURE must be true or false/],
    [['--config', 'absent.json'], {}, /absent\.json: no such file/],
    [['--log-level', 'loud'], {}, /--log-level/],
  ])('refuses %j %j in one sentence: exit 2', async (args, env, sentence) => {
    const { code, err } = await config(args, env);
    expect([code, err.trim().split('\n').length]).toEqual([2, 1]);
    expect(err).toMatch(sentence);
  });

  it('reads a file that an editor has put a byte order mark before', async () => {
    const path = file('marked.json', '\uFEFF{"port": 9001}');
    expect((await config(['--config', path])).out).toMatch(/^port +9001 +.+marked\.json$/m);
  });

  it.each([
    ['{"prot": 1}', /"prot" is no setting; there is: store, models, host/],
    ['{"port": "many"}', /port must be a whole number/],
    ['[]', /must be a JSON object/],
    ['{', /is not JSON/],
  ])('refuses the file %s, naming file and field: exit 2', async (content, sentence) => {
    const path = file('broken.json', content);
    const { code, err } = await config(['--config', path]);
    expect(code).toBe(2);
    expect(err).toContain('broken.json');
    expect(err).toMatch(sentence);
  });
});
