import { ClusterLedger } from '../cluster-ledger.js';
import { noteInstances } from '../cluster-snapshot.js';
import { reject } from './finished-move.js';
import { findingsOfJob, readJob, readQueryReply } from './ganeti-job.js';
import { isJobInfo, isTranscript, readJobInfo, readTranscript } from './ganeti-text.js';
import { stripEscapes } from './log-prefix.js';
import type { Finding, LogParser, LogSource, SourceContext } from './source.js';

/** One file of the job queue is some KiB; a saved bulk reply of RAPI for tens of thousands of jobs is some ten MiB. */
const LONGEST_FILE_BYTES = 64 << 20;

/** Ganeti's job queue files, live or archived, and what else people keep of its jobs. */
export const ganetiJobsSource: LogSource = {
  name: 'ganeti-jobs',
  summary:
    "Ganeti's job queue (/var/lib/ganeti/queue and its archive), saved RAPI replies, gnt-job info, gnt-* output",
  unit: 'file',
  version: 1,
  longestLineBytes: LONGEST_FILE_BYTES,
  detect,
  ownsFile: (fileName) =>
    !/(?:^|[\\/])(?:lock|serial|version|drain|\.[^\\/]*|job-\d+\.(?:tmp|new).*)$/.test(fileName),
  tellsEveryMove: (fileName) => /(?:^|[\\/])job-\d+$/.test(fileName),
  parser: (context) => new GanetiJobsParser(context),
};

function detect(head: string, fileName: string): number {
  if (/"OP_ID": ?"OP_[A-Z_]+"/.test(head) || (/"ops": ?\[/.test(head) && /"received_t(?:ime)?s/.test(head)))
    return 0.98;
  if (/"opexec"|"opstart"/.test(head) && /INSTANCE_/.test(head)) return 0.95;
  if (/^\s*(?:- )?Job ID: /m.test(head) && /Processing start:/.test(head)) return 0.95;
  if (/^.{0,40}(?:Migrating|Failover) instance \S+$/m.test(head)) return 0.9;
  if (
    /\* (?:starting memory transfer|checking disk consistency between source and target|preparing \S+ to accept)/.test(
      head,
    )
  )
    return 0.9;
  if (/STEP \d\/6 |disks are in sync|Waiting for instance \S+ to sync disks/.test(head)) return 0.9;
  return /(?:^|[\\/])job-\d+$/.test(fileName) ? 0.5 : 0;
}

class GanetiJobsParser implements LogParser {
  private readonly lines: string[] = [];

  private readonly context: SourceContext;

  constructor(context: SourceContext) {
    // Without a ledger for the whole run, the jobs of one file still tell one another what they changed.
    this.context = context.ledger === undefined ? { ...context, ledger: new ClusterLedger() } : context;
  }

  line(text: string): Finding[] {
    this.lines.push(text);
    return [];
  }

  state(): undefined {
    return undefined;
  }

  end(): Finding[] {
    const { context, lines } = this;
    const from = lines.findIndex((line) => !/^\s*(?:#.*)?$/.test(line));
    if (from < 0) return [];
    if (/^\s*[{[]/.test(lines[from]!)) return this.json(from);
    const plain = lines.map(stripEscapes);
    if (isJobInfo(plain)) return readJobInfo(plain, context);
    if (isTranscript(plain)) return readTranscript(plain, context);
    return /(?:^|[\\/])job-\d+$/.test(context.fileName)
      ? [reject(from + 1, 'not a job of a Ganeti queue', lines[from]!)]
      : [];
  }

  private json(from: number): Finding[] {
    const { context, lines } = this;
    const text = lines.slice(from).join('\n');
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      return [
        reject(from + 1, 'not whole JSON: the file is cut off, or was read while it was written', text),
      ];
    }
    const jobs = readQueryReply(value);
    if (jobs.length === 0) {
      // Instances tell the ledger sizes and places as of the file's time.
      if (context.ledger !== undefined && noteInstances(context.ledger, value, context.nowMs) > 0) return [];
      for (const item of Array.isArray(value) ? (value as unknown[]) : [value]) {
        const job = readJob(item);
        if (job !== undefined) jobs.push(job);
      }
    }
    // In order of their ends: what one job changed is known to the next.
    jobs.sort((a, b) => (a.endMs ?? Infinity) - (b.endMs ?? Infinity) || a.id - b.id);
    return jobs.flatMap((job) => findingsOfJob(job, context, from + 1));
  }
}
