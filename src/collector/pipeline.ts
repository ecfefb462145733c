import { UserError } from '../domain/errors.js';
import type { Parsed } from '../domain/move-record.js';
import { parseInstanceSample, parseLinkSample } from '../domain/samples.js';
import { LineReader, type LineBlock } from './line-reader.js';
import { moveIdFor } from './move-id.js';
import { checkMoveRecord } from './record-check.js';
import type { RejectsFile } from './rejects.js';
import { batchSize, emptyBatch, type Batch, type Sink } from './sinks.js';
import type { Finding, LogParser, LogSource, SourceContext } from './sources/source.js';
import { DamagedTextError, type TextInput } from './text-input.js';

/** What a collection did: `read` = `new` + `known` + `rejected`. */
export interface CollectCounts {
  /** Records, samples and rejected lines that were found. */
  read: number;
  new: number;
  known: number;
  rejected: number;
}

export interface CollectionOptions {
  sink: Sink;
  rejects: RejectsFile;
  /** Given to records that name none. */
  cluster?: string | undefined;
  /** Only what started (or was measured) in [since, until), epoch milliseconds. */
  sinceMs?: number | undefined;
  untilMs?: number | undefined;
  /** Called after each block of lines. */
  onProgress?: () => void;
}

/**
 * A store takes so many at once in a few milliseconds; more would gain little and lose more when the program is
 * killed.
 */
const BATCH_RECORDS = 2000;

/** So many different reasons are kept to be named at the end. */
const KEPT_REASONS = 1000;

/**
 * One run of the pipeline: lines → findings → valid records → batches → sink, with back-pressure: nothing is read while
 * a batch is on its way. What cannot become a record goes to the rejects file, with its reason.
 */
export class Collection {
  readonly counts: CollectCounts = { read: 0, new: 0, known: 0, rejected: 0 };
  /** Records left out because of `sinceMs` and `untilMs`. */
  outside = 0;
  readonly #options: CollectionOptions;
  readonly #reasons = new Map<string, number>();
  #batch: Batch = emptyBatch();

  constructor(options: CollectionOptions) {
    this.#options = options;
  }

  /** Why lines were rejected, the most frequent reason first. */
  reasons(): { reason: string; count: number }[] {
    return [...this.#reasons]
      .map(([reason, count]) => ({ reason, count }))
      .toSorted((a, b) => b.count - a.count);
  }

  /**
   * Reads one text to its end. On return everything found is safe in the sink, or in the rejects file.
   *
   * @throws UserError `input-invalid` when the text is not of the source's format at all; what the sink throws.
   */
  async collectText(input: TextInput, source: LogSource, context: SourceContext): Promise<void> {
    const { longestLineBytes, strictUtf8 = false } = source;
    const reader = new LineReader({ longestLineBytes, strictUtf8 });
    const parser = source.parser(context);
    try {
      for await (const chunk of input.chunks) {
        const block = reader.push(chunk);
        if (source.unit === 'file' && reader.offset + reader.waitingBytes > longestLineBytes) {
          throw new UserError(
            'too-large',
            `${input.path}: is larger than the ${longestLineBytes} bytes that a file of ${source.name} may have; is it another kind of file?`,
          );
        }
        await this.#takeBlock(block, parser, input.path);
      }
    } catch (error) {
      if (!(error instanceof DamagedTextError)) throw error;
      this.#reject(input.path, { line: reader.nextNumber, reason: error.message, text: '' });
    }
    await this.#takeBlock(reader.end(), parser, input.path);
    for (const finding of parser.end()) this.#take(finding, input.path);
    await this.flush();
  }

  /** Makes everything that was found safe. */
  async flush(): Promise<void> {
    const batch = this.#batch;
    if (batchSize(batch) > 0) {
      this.#batch = emptyBatch();
      const added = await this.#options.sink.add(batch);
      this.counts.new += added.new;
      this.counts.known += added.known;
    }
    await this.#options.rejects.flush();
  }

  async #takeBlock(block: LineBlock, parser: LogParser, file: string): Promise<void> {
    const { lines, firstNumber, faults } = block;
    for (let i = 0; i < lines.length; i++) {
      const fault = faults?.get(i);
      if (fault !== undefined) {
        this.#reject(file, { line: firstNumber + i, ...fault });
        continue;
      }
      for (const finding of parser.line(lines[i]!, firstNumber + i)) this.#take(finding, file);
      if (this.#isFull()) await this.flush();
    }
    this.#options.onProgress?.();
  }

  #isFull(): boolean {
    return batchSize(this.#batch) >= BATCH_RECORDS || this.#options.rejects.waiting >= BATCH_RECORDS;
  }

  #take(finding: Finding, file: string): void {
    if (finding.kind === 'reject') return this.#reject(file, finding);
    if (finding.kind === 'unreadable') throw new UserError('input-invalid', `${file}: ${finding.reason}`);
    const { value } = finding;
    if (this.#options.cluster !== undefined && (value['cluster'] ?? '') === '')
      value['cluster'] = this.#options.cluster;
    switch (finding.kind) {
      case 'move':
        if ((value['id'] ?? '') === '') value['id'] = moveIdFor(value);
        return this.#keep(checkMoveRecord(value), 'started_at', this.#batch.moves, finding, file);
      case 'link-sample':
        return this.#keep(parseLinkSample(value), 'at', this.#batch.linkSamples, finding, file);
      case 'instance-sample':
        return this.#keep(parseInstanceSample(value), 'at', this.#batch.instanceSamples, finding, file);
    }
  }

  #keep<K extends string, T extends Record<K, string>>(
    parsed: Parsed<T>,
    timeField: K,
    batch: T[],
    finding: Exclude<Finding, { kind: 'reject' | 'unreadable' }>,
    file: string,
  ): void {
    if (!parsed.ok) {
      const text = finding.text ?? JSON.stringify(finding.value);
      return this.#reject(file, { line: finding.line, reason: parsed.reason, text });
    }
    const { sinceMs, untilMs } = this.#options;
    if (sinceMs !== undefined || untilMs !== undefined) {
      const ms = Date.parse(parsed.value[timeField]);
      if (ms < (sinceMs ?? -Infinity) || ms >= (untilMs ?? Infinity)) {
        this.outside++;
        return;
      }
    }
    this.counts.read++;
    batch.push(parsed.value);
  }

  #reject(file: string, { line, reason, text }: { line: number; reason: string; text: string }): void {
    this.counts.read++;
    this.counts.rejected++;
    const count = this.#reasons.get(reason);
    if (count !== undefined || this.#reasons.size < KEPT_REASONS) this.#reasons.set(reason, (count ?? 0) + 1);
    this.#options.rejects.add({ file, line, reason, text });
  }
}
