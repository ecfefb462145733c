import {
  existsSync,
  mkdtempSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { ModelRegistry, type ModelFiles } from '../../src/store/model-registry.js';

const files = Object.freeze({
  model: Object.freeze({ format: 1, name: 'default', version: '1', a: [1, 2] }),
  card: '# A card\n',
  metrics: { mae: 0.5 },
}) satisfies ModelFiles;

describe('the model registry', () => {
  let root: string;
  let registry: ModelRegistry;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'movecast-models-'));
    registry = new ModelRegistry(join(root, 'models'));
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  it('holds nothing while its folder does not exist', async () => {
    expect(await registry.list()).toEqual([]);
    expect(await registry.currentVersion('default')).toBeUndefined();
    await expect(registry.resolve('default')).rejects.toMatchObject({
      code: 'not-found',
      message: expect.stringMatching(/no model default in .+ none is registered: train one/),
    });
  });

  it('gives back what was registered, and does not put it in service', async () => {
    const written = { ...files, model: { ...files.model, version: '1-abc' } };
    const model = await registry.register('default', '1-abc', written);
    expect(model).toMatchObject({ name: 'default', version: '1-abc', current: false });
    expect(await registry.read(model)).toEqual(written);
    expect(await registry.currentVersion('default')).toBeUndefined();
    await expect(registry.resolve('default')).rejects.toThrow(/no version in service; promote one of: 1-abc/);
  });

  it('stands for the shipped models until it is written to, and then begins with a copy of them', async () => {
    const shipped = new ModelRegistry(join(root, 'shipped'));
    await shipped.register('default', '1', files);
    await shipped.promote('default', '1');
    const was = readdirSync(join(root, 'shipped'), { recursive: true }).sort();
    const own = new ModelRegistry(join(root, 'here', 'models'), Date.now, join(root, 'shipped'));
    expect(await own.resolve('default')).toMatchObject({ version: '1', current: true });
    await own.promote('default', '1'); // is so already
    await expect(own.register('no name', '2', files)).rejects.toMatchObject({ code: 'usage' });
    expect(existsSync(join(root, 'here'))).toBe(false);
    await own.register('default', '2', files);
    expect(readdirSync(join(root, 'here'))).toEqual(['models']);
    expect(await own.currentVersion('default')).toBe('1');
    await own.promote('default', '2');
    expect(await own.rollback('default')).toMatchObject({ version: '1' });
    await own.promote('default', '2');
    expect((await own.list()).map(({ version, current }) => [version, current])).toEqual([
      ['1', false],
      ['2', true],
    ]);
    expect(readdirSync(join(root, 'shipped'), { recursive: true }).sort()).toEqual(was);
    expect(await shipped.currentVersion('default')).toBe('1');
  });

  it('resolves a name to the version in service, a name with a version, and a folder', async () => {
    await registry.register('default', '1', files);
    await registry.register('default', '2', files);
    await registry.promote('default', '2');
    expect(await registry.resolve('default')).toMatchObject({ version: '2', current: true });
    expect(await registry.resolve('default@1')).toMatchObject({ version: '1', current: false });
    const folder = join(root, 'models', 'default', '2');
    expect(await registry.resolve(folder)).toEqual({
      name: 'default',
      version: '2',
      current: true,
      folder,
    });
    const elsewhere = new ModelRegistry(join(root, 'other'));
    expect(await elsewhere.resolve(folder)).toMatchObject({ version: '2', current: false, folder });
  });

  it('lists every version in natural order and marks the one in service', async () => {
    for (const version of ['10', '9', '1']) await registry.register('default', version, files);
    await registry.register('night', 'a', files);
    await registry.promote('default', '9');
    const listed = await registry.list();
    expect(listed.map(({ name, version, current }) => [name, version, current])).toEqual([
      ['default', '1', false],
      ['default', '9', true],
      ['default', '10', false],
      ['night', 'a', false],
    ]);
  });

  it('says which versions there are when one is asked for that is not', async () => {
    await registry.register('default', '1', files);
    await registry.register('default', '2', files);
    await expect(registry.resolve('default@3')).rejects.toMatchObject({
      code: 'not-found',
      message: expect.stringMatching(/no version 3 of model default in .+; there is: 1, 2$/),
    });
    await expect(registry.promote('default', '3')).rejects.toMatchObject({ code: 'not-found' });
    await expect(registry.resolve('other')).rejects.toThrow(/there is: default$/);
  });

  it('refuses to write over a version that exists', async () => {
    await registry.register('default', '1', files);
    await expect(registry.register('default', '1', { ...files, card: 'other' })).rejects.toMatchObject({
      code: 'usage',
    });
    expect((await registry.read(await registry.resolve('default@1'))).card).toBe(files.card);
  });

  it('lets exactly one of several that register the same version at once succeed, and leaves no half model', async () => {
    const outcomes = await Promise.allSettled(
      Array.from({ length: 6 }, (_, i) => registry.register('default', '1', { ...files, card: String(i) })),
    );
    expect(outcomes.filter((outcome) => outcome.status === 'fulfilled')).toHaveLength(1);
    expect(readdirSync(join(root, 'models', 'default'))).toEqual(['1']);
  });

  it('steps back through the versions that were in service', async () => {
    for (const version of ['1', '2', '3']) {
      await registry.register('default', version, files);
      await registry.promote('default', version);
    }
    await registry.promote('default', '3');
    expect(await registry.rollback('default')).toMatchObject({ version: '2', current: true });
    rmSync(join(root, 'models', 'default', '1'), { recursive: true });
    await expect(registry.rollback('default')).rejects.toMatchObject({
      code: 'not-found',
      message: expect.stringMatching(/no earlier version/),
    });
    expect(await registry.currentVersion('default')).toBe('2');
    await expect(registry.rollback('nobody')).rejects.toMatchObject({ code: 'not-found' });
  });

  it('takes promotions asked for at once one after the other, and forgets none of them', async () => {
    const versions = ['1', '2', '3', '4'];
    for (const version of versions) await registry.register('default', version, files);
    await Promise.all(versions.map((version) => registry.promote('default', version)));
    expect(await registry.currentVersion('default')).toBe('4');
    for (const before of ['3', '2', '1'])
      expect(await registry.rollback('default')).toMatchObject({ version: before, current: true });
    expect(readdirSync(join(root, 'models', 'default'))).toEqual([
      '.lock',
      ...versions,
      'current',
      'history',
    ]);
  });

  it('keeps every change in the history, with its time and what was in service before', async () => {
    let nowMs = Date.UTC(2026, 0, 1);
    registry = new ModelRegistry(join(root, 'models'), () => (nowMs += 1000));
    for (const version of ['1', '2', '3']) await registry.register('default', version, files);
    await registry.promote('default', '1');
    await registry.promote('default', '2');
    await registry.promote('default', '2'); // changes nothing
    await registry.rollback('default');
    await registry.promote('default', '3');
    const changes = await registry.history('default');
    expect(changes.map(({ action, version, before }) => [action, version, before])).toEqual([
      ['promoted', '1', undefined],
      ['promoted', '2', '1'],
      ['rolled-back', '1', '2'],
      ['promoted', '3', '1'],
    ]);
    expect(changes.every(({ at }, i) => i === 0 || at > changes[i - 1]!.at)).toBe(true);
    expect(await registry.rollback('default')).toMatchObject({ version: '1' });
    await expect(registry.rollback('default')).rejects.toMatchObject({ code: 'not-found' });
    expect(await registry.history('default')).toHaveLength(5);
    expect(await registry.history('../x')).toEqual([]);
  });

  it('steps back through the history of an older registry, and over half a line', async () => {
    for (const version of ['1', '2', '3']) await registry.register('default', version, files);
    writeFileSync(join(root, 'models', 'default', 'history'), '1\n2\n2026-01-01T00:00:00.000Z promo');
    writeFileSync(join(root, 'models', 'default', 'current'), '3\n');
    expect(await registry.rollback('default')).toMatchObject({ version: '2' });
    expect(await registry.history('default')).toMatchObject([
      { action: 'rolled-back', version: '2', before: '3' },
    ]);
    expect(await registry.rollback('default')).toMatchObject({ version: '1' });
    await expect(registry.rollback('default')).rejects.toMatchObject({ code: 'not-found' });
  });

  it('removes what a registration left that was broken off a day ago, and no younger one', async () => {
    await registry.register('default', '1', files);
    for (const name of ['.unfinished-old', '.unfinished-young'])
      mkdirSync(join(root, 'models', 'default', name));
    const dayAgo = Date.now() / 1000 - 2 * 86_400;
    utimesSync(join(root, 'models', 'default', '.unfinished-old'), dayAgo, dayAgo);
    await registry.register('default', '2', files);
    expect(readdirSync(join(root, 'models', 'default'))).toEqual(['.unfinished-young', '1', '2']);
  });

  it('leaves nothing of a registration that failed, and what others registered under the name', async () => {
    const full = {
      toJSON() {
        throw Object.assign(new Error('full'), { code: 'ENOSPC' });
      },
    };
    const failing = registry.register('default', '1', { ...files, model: full });
    await expect(failing).rejects.toMatchObject({
      code: 'cannot-write',
      message: expect.stringContaining('no space left on the disk'),
    });
    expect(readdirSync(join(root, 'models'))).toEqual([]);
    await registry.register('default', '1', files);
    await expect(registry.register('default', '2', { ...files, model: full })).rejects.toThrow(
      'no space left',
    );
    expect(readdirSync(join(root, 'models', 'default'))).toEqual(['1']);
  });

  it('registers what others may read as far as the umask lets them', async () => {
    const { folder } = await registry.register('default', '1', files);
    expect(statSync(folder).mode & 0o777).toBe(0o777 & ~process.umask());
  });

  it.each(['..', '.', '', 'a/b', '../x', '.hidden', 'a\nb', 'a\\b', 'x'.repeat(101)])(
    'refuses %j as a name and as a version',
    async (bad) => {
      await expect(registry.register(bad, '1', files)).rejects.toMatchObject({ code: 'usage' });
      await expect(registry.register('default', bad, files)).rejects.toMatchObject({ code: 'usage' });
      await expect(registry.promote('default', bad)).rejects.toMatchObject({ code: 'not-found' });
      expect(await registry.currentVersion(bad)).toBeUndefined();
      expect(readdirSync(root)).toEqual(existsSync(join(root, 'models')) ? ['models'] : []);
    },
  );

  it('does not follow what stands in `current` out of the registry', async () => {
    await registry.register('default', '1', files);
    writeFileSync(join(root, 'models', 'default', 'current'), '../../../etc\n');
    expect(await registry.currentVersion('default')).toBeUndefined();
    await expect(registry.resolve('default')).rejects.toMatchObject({ code: 'not-found' });
  });

  it('says when a model file is not JSON or not there', async () => {
    const model = await registry.register('default', '1', files);
    writeFileSync(join(model.folder, 'model.json'), '{"half":');
    await expect(registry.read(model)).rejects.toMatchObject({
      code: 'model-unusable',
      message: expect.stringMatching(/model\.json is not valid JSON/),
    });
    rmSync(join(model.folder, 'model.json'));
    await expect(registry.read(model)).rejects.toMatchObject({ code: 'model-unusable' });
  });

  it('shows no folder that is no model', async () => {
    await registry.register('default', '1', files);
    mkdirSync(join(root, 'models', 'default', 'notes'));
    mkdirSync(join(root, 'models', 'default', '.unfinished-x'));
    expect(await registry.list()).toHaveLength(1);
  });

  it('copies a model out and in again', async () => {
    const model = await registry.register('default', '1', files);
    const copy = join(root, 'copies', 'default', '1');
    await registry.export(model, copy);
    expect(JSON.parse(readFileSync(join(copy, 'model.json'), 'utf8'))).toEqual(files.model);
    await expect(registry.export(model, copy)).rejects.toMatchObject({ code: 'cannot-write' });
    const other = new ModelRegistry(join(root, 'other'));
    expect(await other.import(copy)).toMatchObject({ name: 'default', version: '1' });
    expect(await other.import(copy, { name: 'night', version: 'v2' })).toMatchObject({ name: 'night' });
    const night = await other.read(await other.resolve('night@v2'));
    expect(night).toEqual({ ...files, model: { ...files.model, name: 'night', version: 'v2' } });
  });
});
