import type { GanetiJob, GanetiOpcode } from './ganeti-job.js';
import { findingsOfJob, record } from './ganeti-job.js';
import type { JobMessage, MoveTold } from './ganeti-job-log.js';
import { headingOf, hear, nothingTold } from './ganeti-job-log.js';
import { reject } from './finished-move.js';
import { LogClock } from './log-times.js';
import type { Finding, SourceContext } from './source.js';

/**
 * What people keep of Ganeti: the output of `gnt-job info` and of gnt-* commands that moved something. Times there are
 * local times without a zone. One form a text; the lines come with their numbers from 1.
 */

const JOB_ID = /^\s*(?:- )?Job ID: %?(\d{1,12})%?\s*$/;

/** True when the lines hold a `gnt-job info`. O(lines). */
export const isJobInfo = (lines: readonly string[]): boolean => lines.some((line) => JOB_ID.test(line));

const MOST_FIELDS = 1000;

/** `gnt-job info N…`, of old and new versions → findings. O(lines). */
export function readJobInfo(lines: readonly string[], context: SourceContext): Finding[] {
  const clock = new LogClock(context);
  const findings: Finding[] = [];
  let job: GanetiJob | undefined;
  let opcode: GanetiOpcode | undefined;
  let jobLine = 1;
  let section: 'head' | 'input' | 'result' | 'log' = 'head';
  let fieldIndent = 0;
  /** What of a log entry has come: its time and its text may stand in either order. */
  let entryMs: number | undefined;
  let entryText: string | undefined;
  const results: string[] = [];
  const closeEntry = (): void => {
    if (opcode !== undefined && entryText !== undefined) opcode.log.push({ ms: entryMs, text: entryText });
    entryText = undefined;
    entryMs = undefined;
  };
  const closeOpcode = (): void => {
    closeEntry();
    if (opcode !== undefined && results.length > 0) opcode.result = [...results];
    results.length = 0;
    opcode = undefined;
  };
  const closeJob = (): void => {
    closeOpcode();
    if (job !== undefined) findings.push(...findingsOfJob(job, context, jobLine));
    job = undefined;
  };
  const timeIn = (text: string): number | undefined => clock.read(text.trim())?.ms;

  lines.forEach((line, index) => {
    const id = JOB_ID.exec(line);
    if (id !== null) {
      closeJob();
      job = { id: Number(id[1]), opcodes: [] };
      jobLine = index + 1;
      section = 'head';
      return;
    }
    if (job === undefined) return;
    const text = line.trim();
    const op = /^(?:- )?(?:Opcode: )?(OP_[A-Z_]{1,60})$/.exec(text);
    if (op !== null) {
      closeOpcode();
      opcode = { opId: op[1]!, input: {}, status: '', result: null, log: [] };
      job.opcodes.push(opcode);
      section = 'head';
      return;
    }
    const indent = line.length - line.trimStart().length;
    if (/^(?:Input fields|Result|Execution log):/.test(text)) {
      closeEntry();
      section = text.startsWith('Input') ? 'input' : text.startsWith('Result') ? 'result' : 'log';
      fieldIndent = indent;
      const same = /^Result:\s*(\S.{0,400})$/.exec(text);
      if (same !== null) results.push(same[1]!);
      return;
    }
    if (section !== 'head' && indent <= fieldIndent && /^[A-Z]/.test(text)) section = 'head';
    if (section === 'head') {
      const pair = /^(Status|Received|Processing start|Execution start|Processing end):\s*(.{1,100})$/.exec(
        text,
      );
      if (pair === null) return;
      const [, key, value] = pair;
      if (key === 'Status') {
        if (opcode !== undefined) opcode.status = value!;
        return;
      }
      const ms = timeIn(value!);
      if (ms === undefined) return;
      if (key === 'Received') job.receivedMs = ms;
      else if (opcode === undefined) job[key === 'Processing start' ? 'startMs' : 'endMs'] = ms;
      else
        opcode[key === 'Processing start' ? 'startMs' : key === 'Execution start' ? 'execMs' : 'endMs'] = ms;
      return;
    }
    if (opcode === undefined) return;
    if (section === 'input') {
      const pair = /^(?:- )?([a-z_]{1,60}):(?: (.{0,400}))?$/i.exec(text);
      if (pair !== null && Object.keys(opcode.input).length < MOST_FIELDS && pair[1] !== '__proto__')
        opcode.input[pair[1]!] = scalar(pair[2] ?? '');
    } else if (section === 'result') {
      if (results.length < 20) results.push(text.replace(/^- /, '').slice(0, 400));
    } else logLine(text);
  });
  closeJob();
  return findings;

  function logLine(text: string): void {
    const old = /^\d{1,9}:(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,9})?):\w{1,40} (.*)$/.exec(text);
    if (old !== null) {
      closeEntry();
      entryMs = timeIn(old[1]!);
      entryText = old[2]!;
      closeEntry();
      return;
    }
    const starts = text.startsWith('- Time:') || text.startsWith('- Content:');
    if (starts) closeEntry();
    const time = /^(?:- )?Time: (.{1,60})$/.exec(text);
    if (time !== null) {
      if (entryMs !== undefined) closeEntry();
      entryMs = timeIn(time[1]!);
      return;
    }
    const content = /^(?:- )?Content: [[(]?\d{1,9}, ?u?'?"?\w{1,40}'?"?, ?(.{0,2000}?)[\])]?$/.exec(text);
    if (content !== null) {
      entryText = content[1]!.replace(/^u?(['"])(.*)\1$/, '$2');
      return;
    }
    // A list over several lines: serial, type, text.
    const item = /^- (.{1,2000})$/.exec(text);
    if (item !== null && !/^(?:\d{1,9}|message|[a-z-]{1,30}-[a-z-]{1,30})$/.test(item[1]!))
      entryText = item[1]!.replace(/^(['"])(.*)\1$/, '$2');
  }
}

function scalar(text: string): unknown {
  const plain = text.trim();
  if (plain === 'None' || plain === '' || plain === 'null') return null;
  if (/^(?:True|true)$/.test(plain)) return true;
  if (/^(?:False|false)$/.test(plain)) return false;
  if (/^-?\d{1,15}$/.test(plain)) return Number(plain);
  return plain.replace(/^u?(['"])(.*)\1$/, '$2');
}

const CTIME = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}/;
const PROMPT = /^(?:[\w@.:~/-]{0,100})?[$#](?: |$)/;

/** True when the lines hold messages of a gnt-* command. O(lines). */
export const isTranscript = (lines: readonly string[]): boolean =>
  lines.some((line) => CTIME.test(line.trim()) || headingOf(line.trim()) !== undefined);

interface Part {
  told: MoveTold;
  line: number;
  text: string;
}

/**
 * What gnt-* commands printed → findings. A move begins at its heading ("Migrating instance …") and ends with "* done"
 * or, where nothing is printed after the last step, with the last message before the prompt, the next heading or the
 * end. Without a clear end it is not a finished move. O(lines).
 */
export function readTranscript(lines: readonly string[], context: SourceContext): Finding[] {
  const clock = new LogClock(context);
  const findings: Finding[] = [];
  let part: Part | undefined;
  const close = (how: string): void => {
    if (part !== undefined) findings.push(...told(part, how, context));
    part = undefined;
  };
  lines.forEach((line, index) => {
    const plain = line.trim().replaceAll('\\%', '%');
    if (PROMPT.test(plain) && !CTIME.test(plain)) return close('the command ends');
    const time = CTIME.test(plain) ? clock.read(plain) : undefined;
    const message: JobMessage = { ms: time?.ms, text: (time?.rest ?? plain).replace(/^- INFO/, ' - INFO') };
    const heading = headingOf(message.text);
    if (heading !== undefined) close('the next move begins');
    else if (part === undefined && !message.text.startsWith('* starting memory transfer')) return undefined;
    part ??= { told: nothingTold(), line: index + 1, text: plain.slice(0, 400) };
    part.line = index + 1;
    // Without a time only headings, steps and failures are messages: the rest is what people wrote around them.
    if (time === undefined && heading === undefined && !/^(?:\* |Failure: |STEP )/.test(message.text))
      return undefined;
    hear(part.told, message);
    if (message.text.startsWith('Failure: ') || message.text === '* done') close('');
    return undefined;
  });
  close('the log ends');
  return findings;
}

function told({ told: move, line, text }: Part, how: string, context: SourceContext): Finding[] {
  if (move.isCleanup) return [];
  if (move.instance === undefined)
    return [reject(line, 'the log does not name the instance: its beginning is missing', text)];
  if (move.firstMs === undefined) return [reject(line, 'the messages carry no times', text)];
  if (move.hasFailed && !move.hasBegun) return [];
  const isDone = move.isDone || (move.kind === 'replace-disks' && move.syncToMs !== undefined);
  if (!isDone && !move.hasFailed)
    return [
      reject(line, `${how} while the move of ${move.instance} is under way: not a finished move`, text),
    ];
  return record(
    move,
    {
      instance: move.instance,
      status: move.hasFailed ? 'failed' : 'completed',
      key: ['log', move.instance, Math.round(move.firstMs)],
      startMs: move.firstMs,
      endMs: move.hasFailed ? (move.failedMs ?? move.lastMs) : move.lastMs,
      input: {},
      labels: { error: move.error },
      line,
      text,
    },
    context,
  );
}
