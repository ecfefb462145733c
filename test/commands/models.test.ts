import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { forestToOnnx } from '../../src/predictor/onnx-export.js';
import { forestFromOnnx } from '../../src/predictor/tree-import/onnx-trees.js';
import { constantForest, fromJson, predictBatch, type ForestJson } from '../../src/predictor/trees.js';
import { loadRegisteredModel } from '../../src/service/model-loading.js';
import { ModelRegistry } from '../../src/store/model-registry.js';
import { seededRandom } from '../../training/seeded-random.js';
import { generateCluster } from '../balancer/cluster-generator.js';
import { inventedMoves } from '../training/invented-moves.js';
import { runCommand } from './run-command.js';

let folder: string;
const at = (name: string): string => join(folder, name);
const run = (...args: string[]) => runCommand(args);
const models = (...args: string[]) => run('models', ...args, '--models', at('models'));

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'models-'));
  const lines = inventedMoves(300).map((record) => `${JSON.stringify(record)}\n`);
  writeFileSync(at('moves.jsonl'), lines.slice(0, 200).join(''));
  writeFileSync(at('few.jsonl'), lines.slice(0, 130).join(''));
  writeFileSync(at('all.jsonl'), lines.join(''));
  for (const name of ['frame.parquet', 'frame.csv'])
    await run('export-frame', '--records', at('moves.jsonl'), '--out', at(name), '--quiet');
  const featureNames = ['memory_mib', 'recent_instance'];
  writeFileSync(at('trees.onnx'), forestToOnnx(constantForest(2, 0.25), { featureNames }));
  writeFileSync(at('unnamed.onnx'), forestToOnnx(constantForest(1, 3)));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const schema = (): string[] => ['--schema', at('frame.schema.json')];

describe('movecast models import FILE', () => {
  it.each(['frame.csv', 'frame.parquet'])('registers trees with their errors on %s', async (rows) => {
    const args = ['--rows', at(rows), '--rows-from', '2026-01-01T00:20:00Z', '--as', `of-${rows}`];
    const { code, out } = await models(
      'import',
      at('trees.onnx'),
      ...schema(),
      ...args,
      '--target',
      'residual_log',
      '--json',
    );
    expect(code).toBe(0);
    const said = JSON.parse(out) as { version: string; accuracy: { moves: number } };
    expect(said).toMatchObject({ name: 'trees', version: `of-${rows}` });
    expect(said.accuracy.moves).toBeGreaterThan(60);
    const card = (await models('show', `trees@of-${rows}`)).out;
    expect(card).toContain(`# Model card: trees@of-${rows}`);
    expect(card).toContain('- target residual_log: seconds = exp(log_physics_seconds + answer)');
    expect(card).toContain('They stand on 120 completed moves given at the import');
  });

  it('predict, backtest, balance and the service use them like our own', async () => {
    expect((await models('promote', 'trees', 'of-frame.csv')).code).toBe(0);
    const requests = JSON.stringify({ instance: 'vm1', source_node: 'n0', target_node: 'n1', cluster: 'c' });
    writeFileSync(at('requests.jsonl'), `${requests}\n`);
    const use = ['--model', 'trees', '--models', at('models')];
    const store = ['--history', at('all.jsonl')];
    const predicted = await run('predict', '--requests', at('requests.jsonl'), ...store, ...use);
    expect(JSON.parse(predicted.out)).toMatchObject({
      model: { name: 'trees', version: 'of-frame.csv' },
      basis: 'link',
    });
    const judged = await run(
      ...(['backtest', '--records', at('all.jsonl'), '--candidates', 'physics', '--json', ...use] as const),
    );
    const table = (JSON.parse(judged.out) as { candidates: Record<string, { moves: number }> }).candidates;
    expect(table['trees@of-frame.csv']!.moves).toBe(table['physics']!.moves);
    expect(table['physics']!.moves).toBeGreaterThan(90);
    writeFileSync(at('c.data'), generateCluster({ seed: 3, nodes: 4, instancesPerNode: 4 }));
    const plan = await run('balance', at('c.data'), '--effort', '0.01', '--json', ...use);
    expect(JSON.parse(plan.out)).toMatchObject({ model: { name: 'trees', version: 'of-frame.csv' } });
    const { predictor, trainedUntilMs } = await loadRegisteredModel(new ModelRegistry(at('models')), 'trees');
    expect(predictor.model).toEqual({ name: 'trees', version: 'of-frame.csv' });
    expect(trainedUntilMs('c')).toBeGreaterThan(Date.UTC(2026, 0, 1));
  });

  it('a model is judged only by moves that it does not know, in order of time', async () => {
    const use = ['--model', 'trees', '--models', at('models')];
    const known = await run('backtest', '--records', at('moves.jsonl'), ...use);
    expect([known.code, known.err]).toEqual([1, expect.stringContaining('knows all of these moves')]);
    const sizes = await run('backtest', '--records', at('all.jsonl'), '--protocol', 'new-size', ...use);
    expect([sizes.code, sizes.err]).toEqual([2, expect.stringContaining('by the protocol rolling')]);
  });

  it.each<[string, () => string[], RegExp]>([
    ['no schema', () => ['trees.onnx', '--target', 'seconds'], /which frame.*--schema/],
    ['no target', () => ['trees.onnx', ...schema()], /what do its trees answer\? give --target residual_log/],
    [
      'columns that are not named',
      () => ['unnamed.onnx', ...schema(), '--target', 'seconds'],
      /does not name the columns/,
    ],
    [
      'another schema version',
      () => ['trees.onnx', '--schema', at('old.schema.json'), '--target', 'seconds'],
      /schema version 0, this program makes and serves version 1/,
    ],
    [
      'a schema without its model',
      () => ['trees.onnx', '--schema', at('lonely.schema.json'), '--target', 'seconds'],
      /absent\.model\.json: no such file/,
    ],
    [
      'a model of another frame',
      () => ['trees.onnx', '--schema', at('other.schema.json'), '--target', 'seconds'],
      /keep the three files of an export together/,
    ],
    [
      'rows without the columns',
      () => ['trees.onnx', ...schema(), '--target', 'seconds', '--rows', at('narrow.csv')],
      /narrow\.csv: the CSV header lacks the column recent_instance/,
    ],
    [
      'rows with words for numbers',
      () => ['trees.onnx', ...schema(), '--target', 'seconds', '--rows', at('words.csv')],
      /words\.csv line 2: memory_mib must be a number/,
    ],
    [
      'no rows of that time',
      () => {
        const rows = ['--rows', at('frame.csv'), '--rows-from', '2030-01-01T00:00:00Z'];
        return ['trees.onnx', ...schema(), '--target', 'seconds', ...rows];
      },
      /has no rows of the time asked for/,
    ],
    [
      'fewer trees of ONNX',
      () => ['trees.onnx', ...schema(), '--target', 'seconds', '--rounds', '3'],
      /taken whole/,
    ],
    ['a file that is no model', () => ['moves.jsonl', ...schema(), '--target', 'seconds'], /moves\.jsonl: /],
    [
      'a folder with options of trees',
      () => ['models', '--target', 'seconds'],
      /--target is for a file of trees/,
    ],
    ['nothing there', () => ['absent.json', ...schema()], /absent\.json: no such file/],
    ['a folder of something else', () => ['models'], /holds no model\.json; give a model's folder/],
  ])('%s is refused with one sentence, and nothing is registered', async (_what, args, sentence) => {
    const written = JSON.parse(readFileSync(at('frame.schema.json'), 'utf8')) as {
      model: { version: string };
    };
    writeFileSync(at('old.schema.json'), JSON.stringify({ ...written, schema_version: 0 }));
    const { model } = written;
    writeFileSync(
      at('lonely.schema.json'),
      JSON.stringify({ ...written, model: { ...model, file: 'absent.model.json' } }),
    );
    writeFileSync(
      at('other.schema.json'),
      JSON.stringify({ ...written, model: { ...model, version: '3-0' } }),
    );
    writeFileSync(at('narrow.csv'), 'started_at,duration_seconds,memory_mib\n2026-01-01T00:00:00Z,5,4096\n');
    writeFileSync(
      at('words.csv'),
      'started_at,duration_seconds,memory_mib,recent_instance\n2026-01-01T00:00:00Z,5,many,\n',
    );
    const before = (await models('list')).out;
    const [path, ...options] = args();
    const { code, err } = await models('import', at(path!), ...options);
    expect(code).toBeGreaterThan(0);
    expect(err).toMatch(sentence);
    expect(err.trimEnd().split('\n')).toHaveLength(1);
    expect((await models('list')).out).toBe(before);
  });
});

describe('movecast models import of a folder', () => {
  it('exits with 2 when there is none, or no model in it', async () => {
    const ended = await Promise.all(
      ['absent', tmpdir()].map(async (path) => (await models('import', path)).code),
    );
    expect(ended).toEqual([2, 2]);
  });
});

describe('the models of a folder that has none of its own', () => {
  const before = process.cwd();
  afterAll(() => process.chdir(before));

  it('are the shipped ones, a copy of which is begun with when one is added', async () => {
    const place = mkdtempSync(at('place-'));
    process.chdir(place);
    const shipped = await run('models', 'list');
    expect(shipped.out).toMatch(/^\* default@\S+\n$/);
    expect(existsSync('models')).toBe(false);
    const [, version] = /^\* default@(\S+)\n$/.exec(shipped.out)!;
    expect((await run('models', 'export', 'default', join('out', 'mine', '1'))).code).toBe(0);
    const added = await run('models', 'import', join('out', 'mine', '1'));
    expect(added.err).toBe(
      'movecast: models/ is new here: it begins with a copy of the models that came with Movecast\n',
    );
    expect((await run('models', 'list')).out).toBe(`* default@${version}\n  mine@1\n`);
    expect(existsSync(join(place, 'models', 'default', version!, 'model.json'))).toBe(true);
    expect(existsSync(join(before, 'models', 'mine'))).toBe(false);
    // Its file tells of default and another version: a service that went by that would load it anew without end.
    await run('models', 'promote', 'mine', '1');
    const { predictor } = await loadRegisteredModel(new ModelRegistry('models'), 'mine');
    expect(predictor.model).toEqual({ name: 'mine', version: '1' });
  });
});

describe('movecast models export', () => {
  it('writes the trees of a model as ONNX, whose columns are those of a frame', async () => {
    const train = ['--records', at('few.jsonl'), '--models', at('own'), '--quiet'];
    expect((await run('train', ...train)).code).toBe(0);
    const exported = await run(
      'models',
      'export',
      'default',
      at('own.onnx'),
      '--models',
      at('own'),
      '--json',
    );
    expect(exported.code).toBe(0);
    const { columns, trees, version } = JSON.parse(exported.out) as Record<
      'columns' | 'trees' | 'version',
      unknown
    >;
    const back = forestFromOnnx(new Uint8Array(readFileSync(at('own.onnx'))));
    const own = JSON.parse(
      readFileSync(join(at('own'), 'default', String(version), 'model.json'), 'utf8'),
    ) as {
      forest: ForestJson;
    };
    expect(back.featureNames).toEqual(columns);
    const random = seededRandom(3);
    const rows = Float64Array.from({ length: 200 * back.forest.features }, () =>
      random() < 0.2 ? NaN : 12 * random() - 2,
    );
    const [ours, theirs] = [fromJson(own.forest), back.forest].map((forest) => {
      const out = new Float64Array(200);
      predictBatch(forest, rows, 200, out);
      return out;
    });
    expect(theirs).toEqual(ours);
    expect(new Set(ours).size).toBeGreaterThan(20);
    expect(trees).toBe(80);
  });

  it('writes imported trees too, and says where a model has none', async () => {
    const imported = await models('export', 'trees', at('again.onnx'), '--float');
    expect(imported.out).toContain('1 trees of trees@of-frame.csv written');
    expect(existsSync(at('again.onnx'))).toBe(true);
  });
});
