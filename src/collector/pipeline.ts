import { UserError } from '../domain/errors.js';
import type { MoveRecord, Parsed } from '../domain/move-record.js';
import { parseInstanceSample, parseLinkSample } from '../domain/samples.js';
import type { LineBlock } from './line-reader.js';
import { moveIdFor } from './move-id.js';
import { checkMoveRecord } from './record-check.js';
import type { RejectsFile } from './rejects.js';
import { batchSize, emptyBatch, type Batch, type Sink } from './sinks.js';
import type { Finding, LogParser } from './sources/source.js';

/** What a collection did: `read` = `new` + `known` + `rejected`. */
export interface CollectCounts {
  /** Records, samples and rejected lines that were found. */
  read: number;
  new: number;
  known: number;
  rejected: number;
}

/** Where findings come from. */
export interface Origin {
  /** As the user gave it; stands in the rejects file. */
  file: string;
  /** Called with each valid move before it is stored, to complete what its log does not tell. */
  onMove?: ((record: MoveRecord) => void) | undefined;
}

export interface CollectionOptions {
  sink: Sink;
  rejects: RejectsFile;
  /** Given to records that name none. */
  cluster?: string | undefined;
  /** Only what started (or was measured) in [since, until), epoch milliseconds. */
  sinceMs?: number | undefined;
  untilMs?: number | undefined;
  /** Completes a batch before it is stored; gives what is stored beside it, uncounted since nobody read it. */
  beforeStoring?: ((batch: Batch) => Promise<Batch>) | undefined;
}

/**
 * A store takes so many at once in a few milliseconds; more would gain little and lose more when the program is
 * killed.
 */
const BATCH_RECORDS = 2000;

/** So many different reasons are kept to be named at the end. */
const KEPT_REASONS = 1000;

/**
 * The pipeline: findings → valid records → batches → sink, with back-pressure: nothing is read while a batch is on its
 * way. What cannot become a record goes to the rejects file, with its reason.
 */
export class Collection {
  readonly counts: CollectCounts = { read: 0, new: 0, known: 0, rejected: 0 };
  /** Records left out because of `sinceMs` and `untilMs`. */
  outside = 0;
  readonly #options: CollectionOptions;
  readonly #reasons = new Map<string, number>();
  #batch: Batch = emptyBatch();
  #whenSafe: (() => void)[] = [];
  /** Where the items of the batch stand, should the store refuse one. */
  #places = new Map<object, { file: string; line: number }>();

  constructor(options: CollectionOptions) {
    this.#options = options;
  }

  /** Why lines were rejected, the most frequent reason first. */
  reasons(): { reason: string; count: number }[] {
    return [...this.#reasons]
      .map(([reason, count]) => ({ reason, count }))
      .toSorted((a, b) => b.count - a.count);
  }

  /** True when it is time to `flush`. */
  get isFull(): boolean {
    return batchSize(this.#batch) >= BATCH_RECORDS || this.#options.rejects.waiting >= BATCH_RECORDS;
  }

  /** Feeds lines to a parser, and takes what it finds. @throws UserError `input-invalid` when the text is not the source's. */
  takeLines({ lines, firstNumber, faults }: LineBlock, parser: LogParser, origin: Origin): void {
    for (let i = 0; i < lines.length; i++) {
      const fault = faults?.get(i);
      if (fault === undefined) {
        for (const finding of parser.line(lines[i]!, firstNumber + i)) this.take(finding, origin);
      } else this.take({ kind: 'reject', line: firstNumber + i, ...fault }, origin);
    }
  }

  /** Takes one finding. @throws UserError `input-invalid` when it says that the text is not the source's. */
  take(finding: Finding, origin: Origin): void {
    if (finding.kind === 'reject') return this.#reject(origin.file, finding);
    if (finding.kind === 'unreadable')
      throw new UserError('input-invalid', `${origin.file}: ${finding.reason}`);
    const { value } = finding;
    if (this.#options.cluster !== undefined && (value['cluster'] ?? '') === '')
      value['cluster'] = this.#options.cluster;
    const batch = this.#batch;
    switch (finding.kind) {
      case 'move': {
        if ((value['id'] ?? '') === '') value['id'] = moveIdFor(value);
        const record = this.#valid(checkMoveRecord(value), 'started_at', finding, origin.file);
        if (record === undefined) return;
        origin.onMove?.(record);
        batch.moves.push(record);
        return;
      }
      case 'link-sample': {
        const sample = this.#valid(parseLinkSample(value), 'at', finding, origin.file);
        if (sample !== undefined) batch.linkSamples.push(sample);
        return;
      }
      case 'instance-sample': {
        const sample = this.#valid(parseInstanceSample(value), 'at', finding, origin.file);
        if (sample !== undefined) batch.instanceSamples.push(sample);
        return;
      }
    }
  }

  /** Calls back once everything that was taken up to now is safe in the sink, or in the rejects file. */
  whenSafe(callback: () => void): void {
    this.#whenSafe.push(callback);
  }

  /** Makes everything that was taken safe. */
  async flush(): Promise<void> {
    const batch = this.#batch;
    const whenSafe = this.#whenSafe;
    const places = this.#places;
    this.#batch = emptyBatch();
    this.#whenSafe = [];
    this.#places = new Map();
    if (batchSize(batch) > 0) {
      const derived = await this.#options.beforeStoring?.(batch);
      const added = await this.#options.sink.add(batch);
      this.counts.new += added.new;
      this.counts.known += added.known;
      for (const { item, reason } of added.refused ?? []) {
        const { file, line } = places.get(item)!;
        this.counts.read--; // was counted when it was found valid
        this.#reject(file, { line, reason: `the store refuses it: ${reason}`, text: JSON.stringify(item) });
      }
      if (derived !== undefined && batchSize(derived) > 0) await this.#options.sink.add(derived);
    }
    await this.#options.rejects.flush();
    for (const callback of whenSafe) callback();
  }

  #valid<K extends string, T extends Record<K, string>>(
    parsed: Parsed<T>,
    timeField: K,
    finding: Exclude<Finding, { kind: 'reject' | 'unreadable' }>,
    file: string,
  ): T | undefined {
    if (!parsed.ok) {
      const text = finding.text ?? JSON.stringify(finding.value);
      this.#reject(file, { line: finding.line, reason: parsed.reason, text });
      return undefined;
    }
    const { sinceMs, untilMs } = this.#options;
    if (sinceMs !== undefined || untilMs !== undefined) {
      const ms = Date.parse(parsed.value[timeField]);
      if (ms < (sinceMs ?? -Infinity) || ms >= (untilMs ?? Infinity)) {
        this.outside++;
        return undefined;
      }
    }
    this.counts.read++;
    this.#places.set(parsed.value, { file, line: finding.line });
    return parsed.value;
  }

  #reject(file: string, { line, reason, text }: { line: number; reason: string; text: string }): void {
    this.counts.read++;
    this.counts.rejected++;
    const count = this.#reasons.get(reason);
    if (count !== undefined || this.#reasons.size < KEPT_REASONS) this.#reasons.set(reason, (count ?? 0) + 1);
    this.#options.rejects.add({ file, line, reason, text });
  }
}
