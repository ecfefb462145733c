import { describe, expect, it } from '@jest/globals';
import { packageVersion } from '../../src/commands/context.js';
import { runCommand } from './run-command.js';

const commands = [
  'collect',
  'train',
  'backtest',
  'export-frame',
  'predict',
  'forecast',
  'serve',
  'balance',
  'price',
  'accuracy',
  'models',
  'store',
];

const run = (...args: string[]) => runCommand(args);

describe('movecast', () => {
  it('--help names every command, with examples', async () => {
    const { code, out } = await run('--help');
    expect(code).toBe(0);
    for (const command of commands) expect(out).toContain(`  ${command}`);
    expect(out).toMatch(/Examples:\n {2}\$ movecast predict/);
  });

  it('without arguments shows the help', async () => {
    const { code, out } = await run();
    expect(code).toBe(0);
    expect(out).toContain('Usage: movecast');
  });

  it('--version prints the version of the package', async () => {
    expect((await run('--version')).out.trim()).toBe(packageVersion());
  });

  it.each(commands)('%s --help exits 0 and shows an example', async (command) => {
    const { code, out } = await run(command, '--help');
    expect(code).toBe(0);
    expect(out).toMatch(/Examples:\n {2}\$ .*movecast /);
  });

  it.each([
    ['frobnicate'],
    ['predict', '--no-such-flag'],
    ['collect', 'no-such-source', 'x'],
    ['store', 'burn'],
    ['help', 'frobnicate'],
  ])('wrong usage (%s %s) exits 2 with one sentence and no stack', async (...args) => {
    const { code, out, err } = await run(...(args as string[]).filter(Boolean));
    expect(code).toBe(2);
    expect(out).toBe('');
    expect(err.trim().split('\n')).toHaveLength(1);
    expect(err).toMatch(/^movecast: /);
  });

  it.each([
    ['store', 'burn'],
    ['models', 'burn'],
  ])('names the commands of %s when it has no %s', async (command, slip) => {
    const { code, err } = await run(command, slip);
    expect(code).toBe(2);
    expect(err).toMatch(
      new RegExp(`there is no command "${slip}" of ${command}; give one of .+, export, import`),
    );
  });
});
