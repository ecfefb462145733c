import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { main } from '../../src/main.js';
import { processContext } from '../../src/commands/context.js';
import type { Cluster } from '../../src/balancer/cluster.js';
import { formatHtoolsText, parseHtoolsText } from '../../src/balancer/htools-text.js';
import { generateCluster } from '../balancer/cluster-generator.js';
import { strangeCluster, strangeLoads } from '../balancer/strange-cluster.js';
import { requireOrSkip } from './real-servers.js';

/** The real hbal beside ours: the same words on standard output, the same exit code, the same saved files. */

const HBAL = '3.0/usr/bin/hbal';

class Sink extends Writable {
  text = '';
  override _write(chunk: Buffer | string, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

(requireOrSkip(join('3.0', 'usr', 'bin', 'hbal')) ? describe : describe.skip)('the real hbal', () => {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'movecast-hbal-'));
  });
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  const hbal = (args: readonly string[]): { out: string; err: string; code: number } => {
    const answer = spawnSync(join('/usr/lib/ganeti', HBAL), args, { encoding: 'utf8' });
    return { out: answer.stdout, err: answer.stderr, code: answer.status ?? -1 };
  };
  const ours = async (args: readonly string[]): Promise<{ out: string; err: string; code: number }> => {
    const stdout = new Sink();
    const stderr = new Sink();
    const code = await main(['balance', '--blind', ...args], {
      ...processContext(),
      stdout,
      stderr,
    });
    return { out: stdout.text, err: stderr.text, code };
  };

  const variants: readonly (readonly string[])[] = [
    [],
    ['--evac-mode'],
    ['--restricted-migration'],
    ['--ignore-soft-errors'],
    ['--no-disk-moves'],
    ['--no-instance-moves'],
    ['-O', 'node-002'],
    ['--exclusion-tags=role'],
    ['--min-disk', '0.3'],
    ['--ignore-dynu'],
    ['-g', '0.5', '--min-gain-limit=100'],
    ['-e', '3'],
  ];

  const writeLoads = (file: string, seed: number, cluster: Cluster): void =>
    writeFileSync(
      file,
      [...strangeLoads(seed, cluster)].map(([name, load]) => `${[name, ...load].join(' ')}\n`).join(''),
    );

  it.each(Array.from({ length: 24 }, (_, s) => s + 200))(
    'says what we say on random cluster %i, with its options',
    async (seed) => {
      const file = join(folder, `${seed}.data`);
      const nodes = 3 + (seed % 5);
      const text = generateCluster({ seed, nodes, instancesPerNode: 2 + (seed % 6), oddity: (seed % 3) / 2 });
      writeFileSync(file, text);
      const options = ['-l', '6', '-v', '-v', '-C', '-p', ...variants[seed % variants.length]!];
      if (seed % 2 === 1) {
        const loads = join(folder, `${seed}.loads`);
        writeLoads(loads, seed, parseHtoolsText(text, { file, duplicates: 'refuse' }).cluster);
        options.push('-U', loads);
      }
      const save = join(folder, 'saved');
      const saved = (): string[] =>
        ['original', 'balanced']
          .map((state) => `${save}.${state}`)
          .map((name) => (existsSync(name) ? readFileSync(name, 'utf8') : ''));
      const run = async (answer: typeof ours): Promise<unknown> => {
        for (const state of ['original', 'balanced']) rmSync(`${save}.${state}`, { force: true });
        return { ...(await answer(['-t', file, '-S', save, ...options])), saved: saved() };
      };
      expect(await run(ours)).toEqual(await run((args) => Promise.resolve(hbal(args))));
    },
  );

  const fixtures = join('test', 'fixtures', 'clusters');
  const clusters = readdirSync(fixtures).filter((name) => name.endsWith('.data'));
  const NUMERIC_FIELDS =
    'idx,fqdn,status,tmem,nmem,xmem,fmem,umem,imem,rmem,amem,tdsk,fdsk,tcpu,ucpu,pcnt,scnt,pfmem,pfdsk,rcpu,' +
    'cload,mload,dload,nload,spindle_count,hi_spindles,inst_spindles';

  it.each(clusters)('describes the nodes of %s as we do, before and after', async (name) => {
    const file = join(fixtures, name);
    const groups = readFileSync(file, 'utf8').split('\n\n')[0]!.split('\n');
    for (const group of groups.map((line) => line.split('|')[0]!))
      for (const fields of ['', NUMERIC_FIELDS]) {
        const args = ['-t', file, '-G', group, '-l', '5', `-p${fields}`, '--print-instances'];
        expect(await ours(args)).toEqual(hbal(args));
      }
  });

  it('describes overcommitted nodes, and nodes with exclusive storage and no spindles, as we do', async () => {
    const text = readFileSync(join(fixtures, 'exclusive-6.data'), 'utf8');
    const odd = {
      spindles: text.replace(/\|40\|([^|]*)\|Y\|/g, '|0|$1|Y|'),
      memory: text
        .replace(/^(node-\S+\.com)\|65536/gm, '$1|30720')
        .replace(/\|(\d{5})\|(\d+)\|(\d+)\|(16|32)\|N/g, '|3000|$2|$3|$4|N'),
    };
    for (const [name, content] of Object.entries(odd)) {
      const file = join(folder, `odd-${name}.data`);
      writeFileSync(file, content);
      const args = ['-t', file, '-l', '3', '-v', '-v', `-p${NUMERIC_FIELDS}`];
      expect(await ours(args)).toEqual(hbal(args));
    }
  });

  it.each(Array.from({ length: 40 }, (_, s) => s + 400))(
    'says what we say on strange cluster %i, with loads',
    async (seed) => {
      const cluster = strangeCluster(seed, {
        nodes: 2 + (seed % 5),
        instancesPerNode: 2 + (seed % 4),
        split: false,
      });
      const file = join(folder, `strange-${seed}.data`);
      writeFileSync(file, formatHtoolsText(cluster));
      const loads = join(folder, `strange-${seed}.loads`);
      writeLoads(loads, seed, cluster);
      const group = `group${1 + (seed % cluster.groups.length)}`;
      const args = ['-t', file, '-U', loads, '-G', group, '-l', '6', '-v', '-v', '-C', '-p'];
      if (seed % 2 === 1) args.push('--ignore-soft-errors');
      expect(await ours(args)).toEqual(hbal(args));
    },
  );

  const spoken = (text: string): string =>
    // Nodes whose free memory the instances do not explain make both warn, and fail N+1.
    text.replace(/^(node-\d+\.example\.com(?:\|\d+){2})\|\d+/gm, '$1|0');

  it.each([
    ['-q'],
    ['-q', '-v'],
    ['-q', '-v', '-v'],
    ['-q', '-q'],
    ['-q', '-q', '-v'],
    ['-qqvv'],
    ['-qqq', '-v', '--verbose'],
    ['-q', '-C'],
    ['-qC'],
    ['-vvEC', '-ql2'],
    ['-ql', '2', '-vp+name'],
    ['-q', '-p'],
    ['-q', '--print-instances'],
    ['-p'],
    ['--print-instances', '-v'],
    ['--mond=no', '--reason=none', '--priority=low'],
    ['--min-disk=-3'],
    ['-l', '-7'],
  ])('says on both streams what we say with %s %s %s', async (...options) => {
    for (const seed of [301, 302, 303]) {
      const file = join(folder, `spoken-${seed}.data`);
      writeFileSync(file, spoken(generateCluster({ seed, nodes: 4, instancesPerNode: 4, oddity: 0.3 })));
      const args = ['-t', file, '-l', '3', ...options.filter((word) => word !== undefined)];
      expect(await ours(args)).toEqual(hbal(args));
    }
  });

  it.each([
    ['a node that does not exist', ['-O', 'nosuch']],
    ['an instance that does not exist', ['--select-instances=nosuch']],
    ['a group that does not exist', ['-G', 'nosuch']],
    ['a file that is not there', ['-t', '/nosuch']],
    ['two sources of the cluster', ['-m', 'nosuch']],
    ['an argument too many', ['surplus']],
    ['a gain that is no number', ['-g', 'x']],
    ['a length that is no number', ['-l', 'x']],
    ['a length that is no whole number', ['-l', '1.5']],
    ['a ratio of CPUs below 0', ['--max-cpu=-1']],
    ['a priority that there is not', ['--priority=urgent']],
    ['a choice that there is not', ['--mond=perhaps']],
    ['an option that does not exist', ['--nosuch']],
    ['an option without its value', ['-l']],
    ['an option without its value after another one', ['-vl']],
    ['an option that does not exist after another one', ['-vx']],
    ['a value that looks like an option', ['-O', '-v']],
    ['a value that is set off from an option that may have none', ['-qC', 'file']],
  ])('ends with the same exit code for %s', async (_case, options) => {
    const file = join(folder, 'plain.data');
    writeFileSync(file, generateCluster({ seed: 1, nodes: 3, instancesPerNode: 2 }));
    const args = options.includes('-t') ? options : ['-t', file, ...options];
    const theirs = hbal(args).code;
    expect([theirs, (await ours(args)).code]).toEqual([theirs === 2 ? 2 : 1, theirs]);
  });
});
