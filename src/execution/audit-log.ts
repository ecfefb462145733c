import { randomUUID } from 'node:crypto';
import { constants, open, readFile, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { systemErrorSentence, UserError } from '../domain/errors.js';
import { toIsoTime } from '../domain/units.js';
import { makeFolders } from '../store/folders.js';

/**
 * The audit log of a cluster: a JSON object a line, appended, safe on the disk before what it tells of is done. It is
 * the journal too: what was meant to be submitted and of which no job's number is noted is looked for in the queue at
 * the next start.
 */

const placement = z.object({ primary: z.string(), secondary: z.string().optional() });

const common = { at: z.string(), execution: z.string() };

/** Every kind of line. Unknown kinds and fields, which later versions may add, are passed over. */
const auditEntrySchema = z.discriminatedUnion('event', [
  z.object({
    ...common,
    event: z.literal('begin'),
    cluster: z.object({ name: z.string(), uuid: z.string().optional(), master: z.string() }),
    who: z.object({ user: z.string(), host: z.string(), pid: z.number() }),
    /** Number of the newest job in the queue then: ours have higher ones. */
    newest_job: z.number(),
    why: z.string(),
  }),
  z.object({
    ...common,
    event: z.literal('plan'),
    why: z.string(),
    moves: z.number(),
    score_before: z.number(),
    score_after: z.number(),
    seconds: z.object({ p50: z.number(), p90: z.number() }),
  }),
  z.object({
    ...common,
    event: z.literal('intent'),
    /** Stands in the job's comment. */
    token: z.string(),
    command: z.string(),
    instance: z.string(),
    step: z.number(),
    steps: z.number(),
    from: placement,
    to: placement,
    letters: z.string(),
    why: z.string(),
    score_before: z.number(),
    score_after: z.number(),
    predicted_seconds: z.object({ p10: z.number(), p50: z.number(), p90: z.number() }),
  }),
  z.object({ ...common, event: z.literal('submitted'), token: z.string(), job: z.number() }),
  z.object({ ...common, event: z.literal('not-submitted'), token: z.string(), why: z.string() }),
  z.object({
    ...common,
    event: z.literal('ended'),
    token: z.string(),
    job: z.number(),
    status: z.string(),
    seconds: z.number().optional(),
    why: z.string().optional(),
  }),
  z.object({ ...common, event: z.literal('cancel'), token: z.string(), job: z.number(), why: z.string() }),
  z.object({
    ...common,
    event: z.literal('end'),
    why: z.string(),
    done: z.number(),
    left: z.number(),
    score: z.number().optional(),
    still_running: z.array(z.number()),
  }),
]);
export type AuditEntry = z.infer<typeof auditEntrySchema>;

type WithoutCommon<T> = T extends unknown ? Omit<T, 'at' | 'execution'> : never;
export type AuditEvent = WithoutCommon<AuditEntry>;
export type AuditIntent = Extract<AuditEntry, { event: 'intent' }>;

/** A submission that an earlier execution began and of whose end nothing is noted. */
export interface OpenSubmission {
  intent: AuditIntent;
  /** Undefined where the answer of the queue was not noted any more. */
  job: number | undefined;
  /** Jobs of that execution have higher numbers. */
  newestJob: number;
}

/** Where lines go; resolves when they are safe. A test hands in another one. */
export interface AuditSink {
  append(text: string): Promise<void>;
  close(): Promise<void>;
}

export class AuditLog {
  /** Names this execution in the log and in the comments of its jobs. */
  readonly execution: string;
  readonly path: string;
  readonly #sink: AuditSink;
  readonly #now: () => number;
  /** The last line may have no end: the next one begins on a line of its own. */
  #isCutOff: boolean;

  private constructor(
    path: string,
    sink: AuditSink,
    now: () => number,
    { execution, isCutOff }: { execution: string; isCutOff: boolean },
  ) {
    this.path = path;
    this.#isCutOff = isCutOff;
    this.#sink = sink;
    this.#now = now;
    this.execution = execution;
  }

  /**
   * Opens the log, which only its owner may read, and gives what earlier executions left open in it. @throws UserError
   * `cannot-write`; `input-invalid` where the file is something else.
   */
  static async open(
    path: string,
    {
      now,
      openSink = fileSink,
      execution = randomUUID().slice(0, 8),
    }: { now: () => number; openSink?: (path: string) => Promise<AuditSink>; execution?: string },
  ): Promise<{ log: AuditLog; left: OpenSubmission[] }> {
    const text = await readWhatIsThere(path);
    const left = openSubmissions(text, path);
    const sink = await openSink(path);
    // A line that was cut off when the disk was full or the machine went down stays a line of its own.
    const isCutOff = text !== '' && !text.endsWith('\n');
    const log = new AuditLog(path, sink, now, { execution, isCutOff });
    return { log, left };
  }

  /** Appends a line; on return it is safe on the disk. @throws UserError `cannot-write` */
  async write(event: AuditEvent): Promise<void> {
    const entry = { at: toIsoTime(Math.round(this.#now())), execution: this.execution, ...event };
    await this.#append(`${JSON.stringify(entry)}\n`);
  }

  async close(): Promise<void> {
    await this.#sink.close();
  }

  async #append(text: string): Promise<void> {
    try {
      await this.#sink.append(this.#isCutOff ? `\n${text}` : text);
      this.#isCutOff = false;
    } catch (error) {
      this.#isCutOff = true; // a full disk may have taken half of it
      throw cannotWrite(this.path, error);
    }
  }
}

const cannotWrite = (path: string, error: unknown): UserError =>
  new UserError(
    'cannot-write',
    `${systemErrorSentence(error, path)}; nothing is changed without its line in the audit log, make room or name another file with --audit`,
  );

/** A file that is synchronised with the disk after each line. */
async function fileSink(path: string): Promise<AuditSink> {
  let handle: FileHandle;
  try {
    makeFolders(dirname(path));
    handle = await open(path, 'a', 0o600);
    const { mode } = await handle.stat();
    if ((mode & 0o077) !== 0 && (await handle.stat()).isFile()) await handle.chmod(0o600);
  } catch (error) {
    throw cannotWrite(path, error);
  }
  return {
    async append(text) {
      await handle.appendFile(text);
      await handle.datasync();
    },
    close: () => handle.close(),
  };
}

/** An audit log of some 100,000 moves. */
const LONGEST_LOG_BYTES = 128 << 20;

async function readWhatIsThere(path: string): Promise<string> {
  try {
    // A pipe would keep us waiting for somebody at its other end.
    const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const found = await handle.stat();
      if (found.isFIFO())
        throw new UserError(
          'input-invalid',
          `${path}: is a pipe, which keeps nothing for the next start; name a file with --audit`,
        );
      if (!found.isFile()) return '';
      if (found.size > LONGEST_LOG_BYTES)
        throw new UserError(
          'too-large',
          `${path}: is larger than ${LONGEST_LOG_BYTES >> 20} MiB; move it elsewhere once no execution is under way`,
        );
      return await readFile(handle, 'utf8');
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof UserError) throw error;
    if ((error as { code?: unknown }).code === 'ENOENT') return '';
    throw new UserError(
      'input-unreadable',
      `${systemErrorSentence(error, path)}; the audit log must be readable, for it says what is under way`,
    );
  }
}

/** Submissions without an end, from the lines of a log. */
function openSubmissions(text: string, path: string): OpenSubmission[] {
  const submissions = new Map<string, OpenSubmission>();
  let newestJob = 0;
  let understood = 0;
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const entry = entryOf(line);
    if (entry === undefined) continue;
    understood++;
    switch (entry.event) {
      case 'begin':
        newestJob = entry.newest_job;
        break;
      case 'intent':
        submissions.set(entry.token, { intent: entry, job: undefined, newestJob });
        break;
      case 'submitted': {
        const submission = submissions.get(entry.token);
        if (submission !== undefined) submission.job = entry.job;
        break;
      }
      case 'not-submitted':
      case 'ended':
        submissions.delete(entry.token);
        break;
      case 'plan':
      case 'cancel':
      case 'end':
    }
  }
  if (understood === 0 && text.trim() !== '')
    throw new UserError(
      'input-invalid',
      `${path}: is no audit log of movecast; name another file with --audit`,
    );
  return [...submissions.values()];
}

function entryOf(line: string): AuditEntry | undefined {
  try {
    const parsed = auditEntrySchema.safeParse(JSON.parse(line));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}
