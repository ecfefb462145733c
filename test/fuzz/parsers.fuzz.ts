/**
 * Mutated logs through every source: `npm run fuzz:parsers -- --minutes 10 [--seed 1] [--source proxmox]`.
 *
 * The corpus is the fixtures and, where they stand beside the repository, real logs. It ends with 1 at the first crash,
 * hang (more than a second of processor time for one input), memory that grows without bound, record with an impossible
 * duration, or difference between a run and the same run stopped and gone on with; it then prints source, seed and
 * input number, with which `--seed S --from N --count 1` runs that very input again.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { ClusterLedger } from '../../src/collector/cluster-ledger.js';
import { noteSnapshot } from '../../src/collector/cluster-snapshot.js';
import { logSources } from '../../src/collector/sources/registry.js';
import type { Finding, LogSource, SourceContext } from '../../src/collector/sources/source.js';
import { DETECTION_BYTES } from '../../src/collector/sources/source.js';
import { LONGEST_MOVE_SECONDS } from '../../src/domain/fields.js';
import { parseMoveRecord } from '../../src/domain/move-record.js';

interface Job {
  seed: number;
  from: number;
  count: number;
  sources: string[];
  /** [input number, sources tried]: the input under way, shared with the watching thread. */
  progress: Int32Array;
}

/** Processor time for one input; the largest inputs take some ten milliseconds. */
const HANG_MS = 1000;
const WATCH_MS = 50;
/** Old space of the parsing thread: a leak fills it soon. */
const MOST_MEMORY_MIB = 512;
/** What a parser may remember between lines: the longest object and its quoting. */
const LONGEST_STATE = 16 << 20;
const LONGEST_INPUT = 1 << 20;
/** A reject shows so much of a text. */
const LONGEST_SHOWN = 4000;
const NOW_MS = Date.parse('2026-11-20T12:00:00Z');

const corpusFolders: Readonly<Record<string, readonly string[]>> = {
  'ganeti-jobs': [
    'test/fixtures/ganeti-jobs',
    '../shared/data/log-samples/ganeti-migrate',
    '../shared/data/log-samples/ganeti-disk-sync',
    '../shared/data/log-samples/ganeti-job-show',
    '../shared/data/ganeti-capture',
  ],
  qmp: [
    'test/fixtures/qmp',
    '../shared/data/log-samples/qmp-query-migrate',
    '../shared/data/log-samples/hmp-info-migrate',
  ],
  libvirt: ['test/fixtures/libvirt', '../shared/data/log-samples/libvirt-domjobinfo'],
  nova: ['test/fixtures/nova', '../shared/data/log-samples/nova-compute'],
  proxmox: ['test/fixtures/proxmox', '../shared/data/log-samples/proxmox-task-log'],
  drbd: ['test/fixtures/drbd', '../shared/data/log-samples/drbd'],
  records: ['test/fixtures/tables/moves'],
  'link-samples': ['test/fixtures/tables/links'],
  'instance-samples': ['test/fixtures/tables/instances'],
};

async function watch(): Promise<void> {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '1' },
      seed: { type: 'string', default: '1' },
      from: { type: 'string', default: '0' },
      count: { type: 'string' },
      source: { type: 'string', multiple: true },
    },
  });
  const untilMs = Date.now() + Number(values.minutes) * 60_000;
  const progress = new Int32Array(new SharedArrayBuffer(8));
  const job: Job = {
    seed: Number(values.seed),
    from: Number(values.from),
    count: values.count === undefined ? 2 ** 31 - 1 : Number(values.count),
    sources: values.source ?? Object.keys(corpusFolders),
    progress,
  };
  const worker = new Worker(new URL(import.meta.url), {
    workerData: job,
    resourceLimits: { maxOldGenerationSizeMb: MOST_MEMORY_MIB },
  });
  let fault: string | undefined;
  const exit = { isOver: false };
  let totals: Totals | undefined;
  worker.on('message', (message: { fault: string } | { totals: Totals }) => {
    if ('fault' in message) fault = message.fault;
    else totals = message.totals;
  });
  worker.on('error', (error) => (fault ??= `input ${progress[0]}: ${error.stack ?? error.message}`));
  worker.on('exit', () => (exit.isOver = true));
  let seen = -1;
  let cpuBefore = process.cpuUsage();
  while (!exit.isOver && fault === undefined) {
    await new Promise((resolve) => setTimeout(resolve, WATCH_MS));
    const current = Atomics.load(progress, 0);
    if (current !== seen) {
      seen = current;
      cpuBefore = process.cpuUsage();
      if (Date.now() >= untilMs) Atomics.store(progress, 1, 1);
    } else {
      const used = process.cpuUsage(cpuBefore);
      if ((used.user + used.system) / 1000 > HANG_MS && !exit.isOver) fault = `input ${current}: hangs`;
    }
  }
  if (fault !== undefined) {
    await worker.terminate();
    console.error(
      `seed ${job.seed}, ${fault}\nrun it again: npm run fuzz:parsers -- --seed ${job.seed} --from ${seen < 0 ? 0 : Atomics.load(progress, 0)} --count 1`,
    );
    process.exit(1);
  }
  if (totals === undefined) throw new Error('the parsing thread told no totals');
  console.log(
    `seed ${job.seed}: ${totals.inputs} inputs (${totals.corpus} files in the corpus), ${(totals.bytes / 2 ** 20).toFixed(0)} MiB, ${totals.lines} lines`,
  );
  for (const [name, counts] of Object.entries(totals.bySource))
    console.log(
      `  ${name.padEnd(12)} inputs ${counts.inputs}, moves ${counts.moves} (${counts.refused} of them refused by the record's own rules), samples ${counts.samples}, rejects ${counts.rejects}, stopped and gone on ${counts.restarts}, slowest ${counts.slowestMs.toFixed(0)} ms of processor time`,
    );
  console.log(`heap at the end ${totals.heapMib.toFixed(0)} MiB; no crash, no hang, no impossible duration`);
}

interface Counts {
  inputs: number;
  moves: number;
  refused: number;
  samples: number;
  rejects: number;
  restarts: number;
  slowestMs: number;
}

interface Totals {
  inputs: number;
  corpus: number;
  bytes: number;
  lines: number;
  heapMib: number;
  bySource: Record<string, Counts>;
}

function parse(job: Job): void {
  const corpus = readCorpus();
  const targets = logSources.filter(({ name }) => job.sources.includes(name));
  const totals: Totals = { inputs: 0, corpus: corpus.length, bytes: 0, lines: 0, heapMib: 0, bySource: {} };
  for (const { name } of targets)
    totals.bySource[name] = {
      inputs: 0,
      moves: 0,
      refused: 0,
      samples: 0,
      rejects: 0,
      restarts: 0,
      slowestMs: 0,
    };
  for (let number = job.from; number < job.from + job.count; number += 1) {
    if (Atomics.load(job.progress, 1) === 1) break;
    Atomics.store(job.progress, 0, number);
    const random = generator(job.seed * 1_000_003 + number);
    const source = targets[random(targets.length)]!;
    const own = corpus.filter((text) => text.source === source.name);
    const text = mutate(
      random(10) < 8 && own.length > 0 ? own[random(own.length)]!.text : corpus[random(corpus.length)]!.text,
      corpus,
      random,
    );
    try {
      check(source, text, random, totals);
      if (number % 50 === 0) noteSnapshot(new ClusterLedger(), text, NOW_MS);
    } catch (error) {
      mkdirSync('dist/fuzz', { recursive: true });
      writeFileSync(join('dist', 'fuzz', `${source.name}-${job.seed}-${number}.txt`), text);
      parentPort!.postMessage(
        {
          fault: `input ${number} of ${source.name} (kept in dist/fuzz): ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
        },
        [],
      );
      return;
    }
    totals.inputs += 1;
    totals.bytes += text.length;
  }
  totals.heapMib = process.memoryUsage().heapUsed / 2 ** 20;
  parentPort!.postMessage({ totals }, []);
}

function check(source: LogSource, text: string, random: Random, totals: Totals): void {
  const counts = totals.bySource[source.name]!;
  const context: SourceContext = {
    fileName: ['a.log', '-', 'UPID:n1:0001:0002:68C5A0F0:qmigrate:7:root@pam:', 'queue/job-12'][random(4)]!,
    nowMs: NOW_MS,
    ledger: new ClusterLedger(),
    ...(random(2) === 0 ? { timeZone: 'Europe/Berlin' } : {}),
    ...(random(3) === 0 ? { node: 'n1', targetNode: 'n2', instance: 'vm1' } : {}),
  };
  const sure = source.detect(text.slice(0, DETECTION_BYTES), context.fileName);
  if (!(sure >= 0 && sure <= 1)) throw new Error(`detect says ${sure}`);
  const lines = text.split(/\r?\n/).filter((line) => line.length <= source.longestLineBytes);
  totals.lines += lines.length;
  const before = process.cpuUsage();
  const findings = run(source, lines, context, -1);
  const { user, system } = process.cpuUsage(before);
  counts.slowestMs = Math.max(counts.slowestMs, (user + system) / 1000);
  counts.inputs += 1;
  for (const finding of findings) checkFinding(finding, source, counts);
  if (source.unit === 'line' && random(8) === 0) {
    counts.restarts += 1;
    const resumed = run(source, lines, { ...context, ledger: new ClusterLedger() }, random(lines.length + 1));
    if (JSON.stringify(resumed) !== JSON.stringify(findings))
      throw new Error('stopped and gone on with, it finds something else');
  }
}

function run(source: LogSource, lines: readonly string[], context: SourceContext, stopAt: number): Finding[] {
  const findings: Finding[] = [];
  let parser = source.parser(context);
  for (const [index, line] of lines.entries()) {
    if (index === stopAt)
      parser = source.parser(context, JSON.parse(JSON.stringify(parser.state() ?? null)) ?? undefined);
    findings.push(...parser.line(line, index + 1));
  }
  const state = JSON.stringify(parser.state() ?? null);
  if (state.length > LONGEST_STATE) throw new Error(`remembers ${state.length} characters`);
  findings.push(...parser.end());
  return findings;
}

/** Of a table, values come as they stand there, of any length: it is the pipeline that refuses and cuts. */
function checkFinding(finding: Finding, { standsAlone: isTable = false }: LogSource, counts: Counts): void {
  if (!Number.isInteger(finding.line) || finding.line < 1)
    throw new Error(`a finding on line ${finding.line}`);
  if (finding.kind === 'reject') {
    counts.rejects += 1;
    if (finding.reason === '' || (finding.text.length > LONGEST_SHOWN && !isTable))
      throw new Error('a reject without a reason, or with a text that is too long');
  } else if (finding.kind === 'move') {
    counts.moves += 1;
    const parsed = parseMoveRecord({ id: 'without', ...finding.value });
    if (!parsed.ok) counts.refused += 1;
    if (!parsed.ok && isTable) return;
    const seconds = finding.value['duration_seconds'];
    if (typeof seconds !== 'number' || !(seconds > 0 && seconds <= LONGEST_MOVE_SECONDS))
      throw new Error(`impossible duration ${String(seconds)}`);
  } else if (finding.kind !== 'unreadable') counts.samples += 1;
}

interface CorpusText {
  source: string;
  text: string;
}

function readCorpus(): CorpusText[] {
  const texts: CorpusText[] = [];
  for (const [source, folders] of Object.entries(corpusFolders)) {
    for (const folder of folders) {
      if (!existsSync(folder)) continue;
      for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true }))
        if (entry.isFile())
          texts.push({ source, text: readFileSync(join(entry.parentPath, entry.name), 'utf8') });
    }
  }
  return texts;
}

type Random = (below: number) => number;

/** Mulberry32: small, and the same on every machine. */
function generator(seed: number): Random {
  let a = seed >>> 0;
  return (below) => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = a;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4294967296) * below);
  };
}

const NUMBERS = [
  '0',
  '-1',
  '1',
  '9',
  '-0',
  '1e308',
  '-nan',
  'NaN',
  'Infinity',
  '18446744073709551615',
  '9007199254740993',
  '0.0000001',
  '99999999999999999999999',
  '1,5',
  '00:00:00',
  '304:53:21',
];
const PIECES = [
  '{',
  '}',
  '[',
  ']',
  '"',
  "'",
  '\\',
  '(',
  ')',
  ':',
  ',',
  '\u0000',
  '\u001b[31m',
  '#033[0m',
  '\r',
  '\u2028',
  '\ud800',
  'constructor',
  '__proto__',
  '%',
  'null',
  '-nan',
  'GiB',
  ' ',
  '\t',
  'é',
];

function mutate(original: string, corpus: readonly CorpusText[], random: Random): string {
  let text = original;
  for (let left = 1 + random(12); left > 0; left -= 1) {
    const at = random(text.length + 1);
    switch (random(14)) {
      case 0:
        text = text.slice(0, at);
        break;
      case 1:
        text = text.slice(at);
        break;
      case 2:
        text = text.slice(0, at) + text.slice(at + 1 + random(30));
        break;
      case 3:
        text = text.slice(0, at) + PIECES[random(PIECES.length)]! + text.slice(at);
        break;
      case 4:
        text = text.slice(0, at) + PIECES[random(PIECES.length)]!.repeat(1 + random(20_000)) + text.slice(at);
        break;
      case 5: {
        const numbers = [...text.matchAll(/\d[\d.,]*/g)];
        const found = numbers[random(numbers.length)];
        if (found !== undefined)
          text =
            text.slice(0, found.index) +
            NUMBERS[random(NUMBERS.length)]! +
            text.slice(found.index + found[0].length);
        break;
      }
      case 6: {
        const numbers = [...text.matchAll(/\d+/g)];
        const found = numbers[random(numbers.length)];
        if (found !== undefined)
          text =
            text.slice(0, found.index) +
            String(random(10 ** (1 + random(9)))) +
            text.slice(found.index + found[0].length);
        break;
      }
      case 7: {
        const lines = text.split('\n');
        lines.splice(random(lines.length), 1 + random(3));
        text = lines.join('\n');
        break;
      }
      case 8: {
        const lines = text.split('\n');
        const from = random(lines.length);
        lines.splice(random(lines.length), 0, ...lines.slice(from, from + 1 + random(20)));
        text = lines.join('\n');
        break;
      }
      case 9: {
        const lines = text.split('\n');
        const [a, b] = [random(lines.length), random(lines.length)];
        [lines[a], lines[b]] = [lines[b]!, lines[a]!];
        text = lines.join('\n');
        break;
      }
      case 10: {
        const other = corpus[random(corpus.length)]!.text;
        const from = random(other.length);
        text = text.slice(0, at) + other.slice(from, from + random(4000)) + text.slice(at);
        break;
      }
      case 11:
        text = text.replaceAll('\n', random(2) === 0 ? '\r\n' : ' ');
        break;
      case 12:
        text = (text + '\n').repeat(1 + random(6));
        break;
      default: {
        const code = text.charCodeAt(at);
        if (!Number.isNaN(code))
          text = text.slice(0, at) + String.fromCharCode(code ^ (1 << random(8))) + text.slice(at + 1);
      }
    }
    if (text.length > LONGEST_INPUT) text = text.slice(0, LONGEST_INPUT);
  }
  return text;
}

if (isMainThread) await watch();
else parse(workerData as Job);
