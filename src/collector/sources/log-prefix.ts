import type { LogClock } from './log-times.js';

/** A line without what a logging system put in front of it. */
export interface PlainLine {
  /** Epoch milliseconds, when the line carries a time. */
  atMs?: number;
  /** The machine that logged it, when a syslog or journald prefix says so. */
  host?: string;
  /** Seconds since that machine booted, when the line carries the kernel's own stamp. */
  uptimeSeconds?: number;
  text: string;
}

// eslint-disable-next-line no-control-regex
const ESCAPES = /(?:\u001b|#033|\\x1b|\^\[)\[[0-9;?]{0,20}[A-Za-z]/g;
// With a process id, or a program that has none: "migration status: active" is no host called "migration".
const SYSLOG_HOST =
  /^([A-Za-z0-9][\w.:-]{0,253}) (?:[\w./@()-]{1,128}\[\d{1,10}\]|kernel|(?:nova|libvirt|virsh|qemu|ganeti)[\w./@()-]{0,100}): ?/;
const CONTAINER_STREAM = /^(?:stdout|stderr) [FP] /;
const PRIORITY = /^<\d{1,3}>(?:1 )?/;
const UPTIME = /^\[ {0,12}(\d{1,12}\.\d{1,9})\] ?/;

/** Two stamps of one line that are this near tell the same moment: a line is logged and sent on within a minute or two. */
const SAME_MOMENT_MS = 120_000;

/**
 * Takes colour escapes (`ESC[01;31m`, also as `#033[00m`), a syslog or journald prefix and a kernel stamp off a line.
 * Where a line carries two times, the inner one is finer and wins; when it has no zone, it is read in that zone (the
 * context's, or UTC) which agrees with the outer one. O(length).
 *
 * @example
 * plainLine('Jul 11 18:10:59 cmp1 nova_compute[9]: 2024-07-11 22:10:59.946 2 INFO x', clock).host === 'cmp1'
 */
export function plainLine(line: string, clock: LogClock): PlainLine {
  let text = stripEscapes(line).replace(PRIORITY, '');
  const plain: PlainLine = { text };
  const outer = clock.read(text);
  if (outer !== undefined) {
    plain.atMs = outer.ms;
    text = outer.rest.replace(CONTAINER_STREAM, '');
    const host = SYSLOG_HOST.exec(text);
    if (host !== null) {
      plain.host = host[1]!;
      text = text.slice(host[0].length);
      readInner();
    } else if (text !== outer.rest) readInner();
  }
  const uptime = UPTIME.exec(text);
  if (uptime !== null) {
    plain.uptimeSeconds = Number(uptime[1]);
    text = text.slice(uptime[0].length);
  }
  plain.text = text;
  return plain;

  function readInner(): void {
    const inner = clock.read(text);
    if (inner === undefined) return;
    plain.atMs = inner.ms;
    if (!inner.hasZone) {
      const asUtc = wallOf(text);
      const outerMs = outer!.ms;
      const nearInZone = Math.abs(inner.ms - outerMs) <= SAME_MOMENT_MS;
      if (!nearInZone && asUtc !== undefined && Math.abs(asUtc - outerMs) <= SAME_MOMENT_MS)
        plain.atMs = asUtc;
    }
    clock.lastMs = plain.atMs;
    text = inner.rest;
  }
}

/** Without colour escapes and without blanks at the end. */
export function stripEscapes(line: string): string {
  return (line.includes('[') ? line.replace(ESCAPES, '') : line).trimEnd();
}

/** The leading ISO time of a text as if it stood in UTC. */
function wallOf(text: string): number | undefined {
  const m = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d(?:[.,]\d{1,9})?)/.exec(text);
  if (m === null) return undefined;
  const ms = Date.parse(`${m[1]}T${m[2]!.replace(',', '.')}Z`);
  return Number.isNaN(ms) ? undefined : ms;
}
