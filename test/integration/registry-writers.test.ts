import type { ChildProcess } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { once } from 'node:events';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { ModelRegistry } from '../../src/store/model-registry.js';
import { programForTests, startNode } from './bundled-program.js';

const CHANGES = 60;

/** Promotes its versions in turn; with `hang` it stops for ever in the midst of a change, the lock in its hand. */
const WRITER = `
import { ModelRegistry } from './registry.mjs';
const [root, hang, ...versions] = process.argv.slice(2);
const now = hang === 'hang' ? () => { process.stdout.write('inside\\n'); for (;;); } : Date.now;
const registry = new ModelRegistry(root, now);
for (let i = 0; i < ${CHANGES}; i++) await registry.promote('default', versions[i % versions.length]);
`;

const registryModule = programForTests('src/store/model-registry.ts', 'registry.mjs');
let folder: string;
beforeAll(() => {
  ({ folder } = registryModule());
  writeFileSync(join(folder, 'writer.mjs'), WRITER);
});

async function registryWith(name: string, versions: readonly string[]): Promise<ModelRegistry> {
  const registry = new ModelRegistry(join(folder, name));
  for (const version of versions)
    await registry.register('default', version, { model: {}, card: '', metrics: {} });
  return registry;
}
const writer = (root: string, hang: 'hang' | '-', ...versions: string[]): ChildProcess =>
  startNode([join(folder, 'writer.mjs'), root, hang, ...versions], { stdio: ['ignore', 'pipe', 'inherit'] });

describe('processes that change at once what is in service', () => {
  it('lose no line of the history, and `current` is what the last one says', async () => {
    const registry = await registryWith('together', ['a1', 'a2', 'b1', 'b2']);
    const writers = [writer(registry.root, '-', 'a1', 'a2'), writer(registry.root, '-', 'b1', 'b2')];
    const codes = await Promise.all(writers.map((child) => once(child, 'exit')));
    expect(codes).toEqual([
      [0, null],
      [0, null],
    ]);
    const changes = await registry.history('default');
    // Each writer promotes one of its two versions in turn, never the one in service: each time is a change.
    expect(changes).toHaveLength(2 * CHANGES);
    for (const own of ['a', 'b']) {
      const versions = changes.map(({ version }) => version).filter((version) => version.startsWith(own));
      expect(versions).toEqual(Array.from({ length: CHANGES }, (_, i) => `${own}${(i % 2) + 1}`));
    }
    changes.forEach(({ before }, i) => expect(before).toBe(changes[i - 1]?.version));
    expect(await registry.currentVersion('default')).toBe(changes.at(-1)!.version);
    expect(readFileSync(join(registry.root, 'default', 'history'), 'utf8').split('\n')).toHaveLength(
      2 * CHANGES + 1,
    );
  });

  it('do not wait for one that was killed in the midst of a change', async () => {
    const registry = await registryWith('killed', ['1', '2']);
    const hanging = writer(registry.root, 'hang', '1');
    await once(hanging.stdout!, 'data');
    const promoted = registry.promote('default', '2');
    hanging.kill('SIGKILL');
    await promoted;
    expect(await registry.currentVersion('default')).toBe('2');
    expect(await registry.history('default')).toMatchObject([{ version: '2', before: undefined }]);
  });
});
