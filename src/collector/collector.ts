import { stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { UserError } from '../domain/errors.js';
import type { MoveRecord } from '../domain/move-record.js';
import type { Checkpoints, LogCheckpoint } from './checkpoints.js';
import type { LogOfMove } from './derivation.js';
import { detectSource } from './detection.js';
import { findInputs, STANDARD_INPUT, type Inputs } from './input-files.js';
import { LineReader } from './line-reader.js';
import { baseOfRotated, seriesBeside, seriesOf, type LogSeries } from './log-series.js';
import type { Collection, Origin } from './pipeline.js';
import type {
  Finding,
  LogParser,
  LogSource,
  RemoteContext,
  RemoteSource,
  SourceContext,
} from './sources/source.js';
import { DamagedTextError, openText, type TextInput } from './text-input.js';

export interface CollectorOptions {
  collection: Collection;
  checkpoints: Checkpoints;
  /** The source of every text; undefined: each is found out. */
  source: LogSource | undefined;
  /** What the user said of the logs. */
  context: Omit<SourceContext, 'fileName' | 'nowMs'>;
  /** Whatever else changes what is found in a text: a checkpoint counts under the same settings only. */
  settings: string;
  /** Go on where the last run stopped, and leave an unfinished line for the next. */
  resume: boolean;
  stdin: AsyncIterable<Buffer | string>;
  /** Files that this run writes, as absolute paths: where they stand in a folder that is followed they are not read. */
  written?: ReadonlySet<string>;
  now: () => number;
  /** A sentence for standard error. */
  remark: (sentence: string) => void;
  /** Bytes read so far, of all texts together. */
  onProgress?: (readBytes: number) => void;
  /** Told of each move from a log before it is stored. Not of those from tables: they are taken as they are. */
  onMove?: (record: MoveRecord, from: LogOfMove) => void;
  /** Aborted when the program is to stop: what was read is made safe. */
  signal?: AbortSignal;
}

/** A file that is written while it is read is read again, so often; then as it is. */
const MOST_READINGS = 3;

/** A log that is read on as it grows. */
interface FollowedLog {
  source: LogSource;
  /** How far it was read. */
  place: LogCheckpoint | undefined;
  /** The text that is read at present, at its end; undefined also when too many others are open. */
  open: OpenText | undefined;
  /** The file at the log's path as it was before it was last read. */
  seen: string;
}

/** A folder of task logs has many thousand files, of which few grow: so many are kept open. */
const MOST_OPEN = 100;

interface OpenText {
  input: TextInput;
  reader: LineReader;
  parser: LogParser;
}

/** Reads texts through sources into a collection: once, on from where the last run stopped, or for as long as they grow. */
export class Collector {
  /** Texts that could not be read, each with its sentence; the others were read. */
  readonly errors: UserError[] = [];
  /** What was found out to be of which source, where none was named. */
  readonly found: { path: string; source: LogSource }[] = [];
  /** Files of folders that are no log of any source, where none was named. */
  readonly leftOut: string[] = [];
  readonly #options: CollectorOptions;
  readonly #followed = new Map<string, FollowedLog>();
  #named: ReadonlySet<string> = new Set();
  #bytesBefore = 0;
  /** Files were read whose facts of instances are not noted yet. */
  #hasReadFiles = false;

  constructor(options: CollectorOptions) {
    this.#options = options;
  }

  /** Reads all inputs once. On return everything that was found is safe. */
  async read(inputs: Inputs): Promise<void> {
    const { collection } = this.#options;
    for (const sentence of inputs.unreadable) this.errors.push(new UserError('input-unreadable', sentence));
    this.#named = new Set(inputs.files.filter(({ isNamed }) => isNamed).map(({ path }) => path));
    for (const series of this.#series(inputs.files.map(({ path }) => path))) {
      if (this.#isStopped()) break;
      await this.#tolerating(inputs.files.length > 1, () => this.#readSeries(series));
    }
    await collection.flush();
    await this.#save('now');
  }

  /**
   * Reads what is there, then on as it grows, across rotation, until the signal says stop. `change` resolves when
   * something may have changed.
   */
  async follow(paths: readonly string[], change: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const { collection, signal = new AbortController().signal } = this.#options;
    await findInputs(paths); // a mistyped path is told at once
    try {
      for (;;) {
        for (const path of paths) {
          for (const series of await this.#seriesNowAt(path)) {
            if (this.#isStopped()) break;
            await this.#tolerating(true, () => this.#followSeries(series));
          }
        }
        if (this.#isStopped()) this.#takeFinished();
        await collection.flush();
        await this.#save('now');
        if (this.#isStopped()) return;
        await change(signal);
      }
    } finally {
      for (const log of this.#followed.values()) await log.open?.input.close();
      this.#followed.clear();
    }
  }

  /** Asks a remote source once for what is new since the last time. */
  async readRemote(
    source: RemoteSource,
    url: string,
    context: Omit<RemoteContext, 'checkpoint' | 'now' | 'signal'>,
  ): Promise<void> {
    const { collection, checkpoints, resume, now, signal = new AbortController().signal } = this.#options;
    const address = withoutSecrets(url);
    const key = this.#key(source, address);
    const saved = resume ? checkpoints.get(key) : undefined;
    const checkpoint = saved?.kind === 'remote' ? saved.checkpoint : undefined;
    const { onMove } = this.#options;
    const origin: Origin = {
      file: address,
      onMove:
        onMove &&
        ((record) =>
          onMove(record, {
            log: address,
            writtenMs: now(),
            tellsEveryMove: source.tellsEveryMove ?? false,
          })),
    };
    for await (const batch of source.poll(url, { ...context, checkpoint, now, signal })) {
      for (const finding of batch.findings) collection.take(finding, origin);
      collection.whenSafe(() => checkpoints.set(key, { kind: 'remote', checkpoint: batch.checkpoint }));
      await collection.flush();
      await checkpoints.saveSometimes();
      if (this.#isStopped()) break;
    }
    await checkpoints.save();
  }

  #isStopped(): boolean {
    return this.#options.signal?.aborted === true;
  }

  /** Saves how far everything was read, with what was learnt on the way. */
  async #save(when: 'now' | 'sometimes'): Promise<void> {
    const { checkpoints, context, settings } = this.#options;
    if (this.#hasReadFiles && context.ledger !== undefined) {
      checkpoints.set(ledgerKey(settings), { kind: 'ledger', ledger: context.ledger });
      if (when === 'now') this.#hasReadFiles = false;
    }
    await (when === 'now' ? checkpoints.save() : checkpoints.saveSometimes());
  }

  /** Files of a log that is appended go together with its rotated ones; others stand alone. */
  #series(paths: readonly string[]): LogSeries[] {
    const { source } = this.#options;
    if (source !== undefined && source.unit === 'file') return paths.map((path) => ({ path, files: [path] }));
    return seriesOf(paths);
  }

  /** Lets an unreadable text not keep the others from being read. */
  async #tolerating(isOneOfMany: boolean, read: () => Promise<void>): Promise<void> {
    try {
      await read();
    } catch (error) {
      if (error instanceof NoKnownLog && !this.#named.has(error.path)) {
        if (!this.leftOut.includes(error.path)) this.leftOut.push(error.path);
        return;
      }
      if (!(error instanceof UserError) || !isAboutInput(error)) throw error;
      await this.#options.collection.flush();
      if (this.errors.some(({ message }) => message === error.message)) return; // told in an earlier round
      this.errors.push(error);
      if (isOneOfMany) this.#options.remark(error.message);
    }
  }

  async #readSeries(series: LogSeries): Promise<void> {
    const { collection, resume, remark } = this.#options;
    const { source, opened } = await this.#sourceOf(series);
    if (source.unit === 'file') {
      for (const path of series.files) await this.#readWholeFile(source, path, opened);
      return;
    }
    const open = await this.#readFrom(source, series, {
      place: this.#savedPlace(source, series.path),
      opened,
    });
    if (open === undefined) return;
    const { input, reader, parser } = open;
    const origin = this.#origin(input, source);
    try {
      if (!resume) {
        collection.takeLines(reader.end(), parser, origin);
        for (const finding of parser.end()) collection.take(finding, origin);
        return;
      }
      // The log may grow: only what is certain comes out, and the parser's state was noted before.
      if (reader.waitingBytes > 0)
        remark(`${input.path}: its last line is not finished, and is left for the next time`);
      for (const finding of parser.end()) if (isFinished(finding)) collection.take(finding, origin);
    } finally {
      this.#bytesBefore += input.readBytes();
      await input.close();
    }
  }

  /** The logs at a path that is followed; it may be gone for the moment in which it is rotated. */
  async #seriesNowAt(path: string): Promise<LogSeries[]> {
    const { source, written } = this.#options;
    const owns = (file: string): boolean =>
      written?.has(resolve(file)) !== true && source?.ownsFile?.(file) !== false;
    const isFolder = await stat(path).then(
      (found) => found.isDirectory(),
      () => false,
    );
    if (!isFolder) return this.#series([path]);
    const { files } = await findInputs([path], owns);
    return this.#series(files.map((file) => file.path)).map((series) => {
      const base = baseOfRotated(series.path);
      return base !== undefined && this.#followed.has(base) ? { path: base, files: [] } : series;
    });
  }

  async #followSeries(series: LogSeries): Promise<void> {
    const current = await stat(series.path).catch(() => undefined);
    const seen =
      current === undefined ? 'gone' : `${current.dev}:${current.ino}:${current.size}:${current.mtimeMs}`;
    const known = this.#followed.get(series.path);
    if (known?.seen === seen && seen !== 'gone') return;
    const onPlace = (place: LogCheckpoint): void => {
      log.place = place;
    };
    let log: FollowedLog;
    if (known === undefined) {
      const { source } = await this.#sourceOf(series);
      log = { source, place: undefined, open: undefined, seen };
      this.#followed.set(series.path, log);
      if (source.unit === 'line') {
        log.open = await this.#readFrom(source, series, {
          place: this.#savedPlace(source, series.path),
          onPlace,
        });
        await this.#closeSome();
        return;
      }
    } else {
      log = known;
      this.#followed.delete(series.path); // what grew last stands last
      this.#followed.set(series.path, log);
    }
    log.seen = seen;
    if (log.source.unit === 'file') {
      for (const path of series.files) await this.#readWholeFile(log.source, path);
      return;
    }
    let drained: OpenText | undefined;
    if (log.open !== undefined) {
      const { open } = log;
      if (await open.input.holds(log.place?.mark)) {
        await this.#readOn(log.source, open, series, onPlace);
        const isSameFile = current !== undefined && `${current.dev}:${current.ino}` === open.input.inode;
        if (isSameFile || current === undefined) return;
        drained = open; // renamed, and a new one stands in its place
      }
      await open.input.close();
      log.open = undefined;
    }
    if (current?.isFile() !== true) return;
    const { place } = log;
    log.open = await this.#readFrom(
      log.source,
      { path: series.path, files: [series.path] },
      { place, onPlace, drained },
    );
    await this.#closeSome();
  }

  /** Closes the logs that grew least recently when too many are open; they are opened again when they grow. */
  async #closeSome(): Promise<void> {
    const open = [...this.#followed.values()].filter((log) => log.open !== undefined);
    for (const log of open.slice(0, Math.max(0, open.length - MOST_OPEN))) {
      await log.open!.input.close();
      log.open = undefined;
    }
  }

  /** At the end of following: completed moves whose logs told everything but that nothing more comes. */
  #takeFinished(): void {
    for (const { source, open } of this.#followed.values()) {
      if (open === undefined) continue;
      const parser = source.parser(this.#context(open.input), open.parser.state());
      for (const finding of parser.end())
        if (isFinished(finding)) this.#options.collection.take(finding, this.#origin(open.input, source));
    }
  }

  /**
   * Reads a series from a place on, or from its beginning; gives the last text, open and at its end. When the place is
   * in none of the given files, it is looked for in those that rotation left beside them; `drained` is the file with
   * the place when that has been read to its end, should it have been moved elsewhere.
   */
  async #readFrom(
    source: LogSource,
    series: LogSeries,
    {
      place,
      opened,
      drained,
      onPlace = () => undefined,
    }: {
      place?: LogCheckpoint | undefined;
      opened?: TextInput | undefined;
      drained?: OpenText | undefined;
      onPlace?: (place: LogCheckpoint) => void;
    },
  ): Promise<OpenText | undefined> {
    const { collection, remark, stdin } = this.#options;
    const { longestLineBytes, strictUtf8 = false } = source;
    let { files } = series;
    let found: { index: number; input: TextInput } | undefined;
    let state: unknown;
    if (place !== undefined) {
      found = await this.#find(files, place);
      if (found === undefined) {
        const beside = (await seriesBeside(series.path)).files;
        found = await this.#find(beside, place);
        if (found !== undefined) files = beside;
        else if (drained !== undefined) {
          collection.takeLines(drained.reader.end(), drained.parser, this.#origin(drained.input, source));
          state = drained.parser.state();
        } else {
          remark(
            `${series.path}: was truncated or replaced since it was read last; it is read from its beginning, with the rotated files beside it`,
          );
          state = place.state;
          if (beside.length > 0) files = beside; // any of them may hold what was not read
        }
        if (source.standsAlone === true) state = undefined;
      }
    }
    let open: OpenText | undefined;
    for (let index = found?.index ?? 0; index < files.length && !this.#isStopped(); index++) {
      if (open !== undefined) {
        collection.takeLines(open.reader.end(), open.parser, this.#origin(open.input, source));
        state = source.standsAlone === true ? undefined : open.parser.state();
        this.#bytesBefore += open.input.readBytes();
        await open.input.close();
        open = undefined;
      }
      const isFound = found !== undefined && place !== undefined && index === found.index;
      const input = isFound ? found!.input : (opened ?? (await openText(files[index]!, stdin)));
      open = {
        input,
        reader: new LineReader({
          longestLineBytes,
          strictUtf8,
          ...(isFound ? { startOffset: place.mark.offset, startNumber: place.nextLine } : {}),
        }),
        parser: source.parser(this.#context(input), isFound ? place.state : state),
      };
      try {
        await this.#readOn(source, open, series, onPlace);
      } catch (error) {
        await input.close();
        throw error;
      }
    }
    return open;
  }

  /** The newest of the files that has the place in it, opened there. */
  async #find(
    files: readonly string[],
    { mark }: LogCheckpoint,
  ): Promise<{ index: number; input: TextInput } | undefined> {
    for (let index = files.length - 1; index >= 0; index--) {
      const input = await openText(files[index]!, this.#options.stdin).catch(() => undefined);
      if (input === undefined) continue;
      if (await input.seek(mark).catch(() => false)) return { index, input };
      await input.close();
    }
    return undefined;
  }

  /** Reads a text to its present end; checkpoints follow as its findings become safe. */
  async #readOn(
    source: LogSource,
    { input, reader, parser }: OpenText,
    series: LogSeries,
    onPlace: (place: LogCheckpoint) => void,
  ): Promise<void> {
    const { collection, checkpoints } = this.#options;
    const key = this.#key(source, resolve(series.path));
    const origin = this.#origin(input, source);
    let notedOffset = reader.offset;
    const note = (): void => {
      if (reader.offset === notedOffset) return;
      notedOffset = reader.offset;
      const checkpoint: LogCheckpoint = {
        kind: 'log',
        mark: input.mark(reader.offset, reader.tail),
        nextLine: reader.nextNumber,
        state: parser.state(),
      };
      onPlace(checkpoint);
      if (input.path !== STANDARD_INPUT) collection.whenSafe(() => checkpoints.set(key, checkpoint));
    };
    try {
      for await (const chunk of input.chunks()) {
        collection.takeLines(reader.push(chunk), parser, origin);
        if (collection.isFull) {
          note();
          await collection.flush();
          await checkpoints.saveSometimes();
        }
        this.#options.onProgress?.(this.#bytesBefore + input.readBytes());
        if (this.#isStopped()) break;
      }
    } catch (error) {
      if (!(error instanceof DamagedTextError)) throw error;
      collection.take({ kind: 'reject', line: reader.nextNumber, reason: error.message, text: '' }, origin);
    }
    note();
  }

  /** Reads a file that is one reply or job, unless it is as it was the last time. */
  async #readWholeFile(source: LogSource, path: string, opened?: TextInput): Promise<void> {
    const { collection, checkpoints, resume, stdin } = this.#options;
    const key = this.#key(source, resolve(path));
    const saved = resume ? checkpoints.get(key) : undefined;
    if (saved?.kind === 'file' && path !== STANDARD_INPUT) {
      const now = await stat(path).catch(() => undefined);
      if (now === undefined || saved.version === `${now.size}:${now.mtimeMs}`) return;
    }
    for (let reading = 1; ; reading++) {
      const input = opened ?? (await openText(path, stdin));
      try {
        const version = await input.version();
        const findings = await this.#findingsOfFile(source, input);
        const isStill = version === (await input.version());
        if (!isStill && reading < MOST_READINGS) continue;
        for (const finding of findings) collection.take(finding, this.#origin(input, source));
        if (isStill && path !== STANDARD_INPUT)
          collection.whenSafe(() => checkpoints.set(key, { kind: 'file', version }));
        this.#bytesBefore += input.readBytes();
        this.#hasReadFiles = true;
        break;
      } finally {
        await input.close();
      }
    }
    this.#options.onProgress?.(this.#bytesBefore);
    if (collection.isFull) {
      await collection.flush();
      await this.#save('sometimes');
    }
  }

  async #findingsOfFile(source: LogSource, input: TextInput): Promise<Finding[]> {
    const { longestLineBytes, strictUtf8 = false } = source;
    const reader = new LineReader({ longestLineBytes, strictUtf8 });
    const parser = source.parser(this.#context(input));
    const findings: Finding[] = [];
    const feed = ({ lines, firstNumber, faults }: ReturnType<LineReader['push']>): void => {
      for (let i = 0; i < lines.length; i++) {
        const fault = faults?.get(i);
        if (fault === undefined) findings.push(...parser.line(lines[i]!, firstNumber + i));
        else findings.push({ kind: 'reject', line: firstNumber + i, ...fault });
      }
    };
    try {
      for await (const chunk of input.chunks()) {
        feed(reader.push(chunk));
        if (reader.offset + reader.waitingBytes > longestLineBytes) {
          throw new UserError(
            'too-large',
            `${input.path}: is larger than the ${longestLineBytes} bytes that a file of ${source.name} may have; is it another kind of file?`,
          );
        }
      }
    } catch (error) {
      if (!(error instanceof DamagedTextError)) throw error;
      findings.push({ kind: 'reject', line: reader.nextNumber, reason: error.message, text: '' });
    }
    feed(reader.end());
    findings.push(...parser.end());
    return findings;
  }

  /** The source that was named, or the one that the newest text of the series seems to be of; standard input stays open. */
  async #sourceOf(series: LogSeries): Promise<{ source: LogSource; opened: TextInput | undefined }> {
    const { source, stdin } = this.#options;
    if (source !== undefined) return { source, opened: undefined };
    const newest = series.files.at(-1)!;
    const input = await openText(newest, stdin).catch((error: unknown) => {
      throw error instanceof UserError ? new NoKnownLog(newest, error.message) : error;
    });
    if (newest !== STANDARD_INPUT) await input.close();
    const found = detectSource(input.head, newest);
    if (found === undefined) {
      const what = input.head.trim() === '' ? 'is empty' : 'is no log that is known here';
      throw new NoKnownLog(newest, `${newest}: ${what}; name its source instead of auto`);
    }
    this.found.push({ path: newest, source: found });
    return { source: found, opened: newest === STANDARD_INPUT ? input : undefined };
  }

  #savedPlace(source: LogSource, path: string): LogCheckpoint | undefined {
    const { checkpoints, resume } = this.#options;
    const saved = resume ? checkpoints.get(this.#key(source, resolve(path))) : undefined;
    return saved?.kind === 'log' ? saved : undefined;
  }

  #key(source: { name: string; version: number }, path: string): string {
    return `${source.name} ${source.version} ${path} ${this.#options.settings}`.trimEnd();
  }

  #context(input: TextInput): SourceContext {
    return { ...this.#options.context, fileName: input.path, nowMs: input.modifiedMs ?? this.#options.now() };
  }

  #origin(input: TextInput, source: LogSource): Origin {
    const { onMove } = this.#options;
    const { path, modifiedMs } = input;
    if (onMove === undefined || source.standsAlone === true) return { file: path };
    const from: LogOfMove = {
      log: source.unit === 'file' ? `${source.name} in ${dirname(path)}` : path,
      writtenMs: modifiedMs,
      tellsEveryMove: source.tellsEveryMove?.(path) ?? false,
    };
    return { file: path, onMove: (record) => onMove(record, from) };
  }
}

/** Where the facts stand that files have told of instances, under the same settings. */
export const ledgerKey = (settings: string): string => `ledger ${settings}`.trimEnd();

/** A file that no source knows: an error when the user named it, an onlooker in a folder. */
class NoKnownLog extends UserError {
  readonly path: string;

  constructor(path: string, sentence: string) {
    super('input-invalid', sentence);
    this.path = path;
  }
}

const isAboutInput = (error: UserError): boolean =>
  error.code === 'input-unreadable' || error.code === 'input-invalid' || error.code === 'too-large';

/** At the end of a log that may grow, only a move that was completed is certain; others may yet go on. */
const isFinished = (finding: Finding): boolean =>
  finding.kind === 'move' && (finding.value['status'] ?? 'completed') === 'completed';

/** An address without user and password. */
function withoutSecrets(url: string): string {
  return url.replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/]*@/i, '$1');
}
