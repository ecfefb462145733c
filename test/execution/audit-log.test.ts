import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { AuditLog, type AuditEvent, type AuditSink } from '../../src/execution/audit-log.js';

let folder = '';
let path = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'movecast-audit-'));
  path = join(folder, 'audit.jsonl');
});
afterEach(() => rmSync(folder, { recursive: true }));

const now = (): number => Date.parse('2026-06-01T00:00:00Z');
const intent = (token: string): AuditEvent => ({
  event: 'intent',
  token,
  command: 'gnt-instance migrate -f web1',
  instance: 'web1',
  step: 0,
  steps: 1,
  from: { primary: 'n1', secondary: 'n2' },
  to: { primary: 'n2', secondary: 'n1' },
  letters: 'f',
  why: 'move 0 of plan 1',
  score_before: 2,
  score_after: 1,
  predicted_seconds: { p10: 1, p50: 2, p90: 3 },
});
async function write(...events: AuditEvent[]): Promise<void> {
  const { log } = await AuditLog.open(path, { now, execution: 'abc' });
  for (const event of events) await log.write(event);
  await log.close();
}
const left = async (): Promise<(number | undefined | string)[][]> => {
  const { log, left: open } = await AuditLog.open(path, { now });
  await log.close();
  return open.map(({ intent: { token }, job }) => [token, job]);
};

describe('the audit log', () => {
  it('gives back what was meant to be submitted and of whose end nothing is noted', async () => {
    await write(
      intent('abc/1'),
      { event: 'submitted', token: 'abc/1', job: 7 },
      { event: 'ended', token: 'abc/1', job: 7, status: 'success' },
      intent('abc/2'),
      { event: 'not-submitted', token: 'abc/2', why: 'refused' },
      intent('abc/3'),
      { event: 'submitted', token: 'abc/3', job: 8 },
      intent('abc/4'),
    );
    expect(await left()).toEqual([
      ['abc/3', 8],
      ['abc/4', undefined],
    ]);
  });

  it('says who, what, when, why and with which score, for its owner alone', async () => {
    await write(intent('abc/1'));
    expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({
      at: '2026-06-01T00:00:00.000Z',
      execution: 'abc',
      instance: 'web1',
      score_before: 2,
      score_after: 1,
    });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    chmodSync(path, 0o644);
    await write(intent('abc/2'));
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it('goes on after a line that was cut off, and passes over what a later version wrote', async () => {
    await write(intent('abc/1'));
    appendFileSync(path, '{"event":"dance"}\n{"at":"2026-');
    await write(intent('abc/2'));
    expect(await left()).toEqual([
      ['abc/1', undefined],
      ['abc/2', undefined],
    ]);
  });

  it('appends to nothing that is no audit log', async () => {
    writeFileSync(path, 'dear diary\n');
    await expect(AuditLog.open(path, { now })).rejects.toThrow(/is no audit log of movecast/);
    expect(readFileSync(path, 'utf8')).toBe('dear diary\n');
  });

  it('keeps its next line whole after a full disk took half of one', async () => {
    let room = 40;
    const openSink = async (file: string): Promise<AuditSink> => ({
      async append(text) {
        appendFileSync(file, text.slice(0, room));
        if (text.length > room) throw Object.assign(new Error('no room'), { code: 'ENOSPC' });
      },
      close: async () => {},
    });
    const { log } = await AuditLog.open(path, { now, execution: 'abc', openSink });
    await expect(log.write(intent('abc/1'))).rejects.toThrow(/no space left/i);
    room = Infinity;
    await log.write(intent('abc/2'));
    await log.write({ event: 'submitted', token: 'abc/2', job: 9 });
    expect(await left()).toEqual([['abc/2', 9]]);
  });

  it('waits for nobody at the other end of a pipe', async () => {
    execFileSync('mkfifo', [path]);
    await expect(AuditLog.open(path, { now })).rejects.toThrow(/is a pipe/);
  });
});
