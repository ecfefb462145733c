import type { Finding, LogSource, SourceContext } from '../../../src/collector/sources/source.js';

/** When a test says nothing else, its text was written at this moment. */
export const WRITTEN_MS = Date.parse('2026-11-20T12:00:00.000Z');

/** Feeds a text to a source as the pipeline does: line by line, then its end. */
export function runSource(source: LogSource, text: string, context: Partial<SourceContext> = {}): Finding[] {
  const parser = source.parser({ fileName: 'test.log', nowMs: WRITTEN_MS, ...context });
  const findings: Finding[] = [];
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  lines.forEach((line, index) => findings.push(...parser.line(line.replace(/\r$/, ''), index + 1)));
  findings.push(...parser.end());
  return findings;
}

/** As `runSource`, but stopped after each line and gone on with from its saved state, as over restarts. */
export function runWithRestarts(
  source: LogSource,
  text: string,
  context: Partial<SourceContext> = {},
): Finding[] {
  const whole = { fileName: 'test.log', nowMs: WRITTEN_MS, ...context };
  let state: unknown;
  const findings: Finding[] = [];
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  lines.forEach((line, index) => {
    const parser = source.parser(whole, state);
    findings.push(...parser.line(line.replace(/\r$/, ''), index + 1));
    const saved = parser.state();
    state = saved === undefined ? undefined : (JSON.parse(JSON.stringify(saved)) as unknown);
  });
  findings.push(...source.parser(whole, state).end());
  return findings;
}

/** The raw records among findings. */
export const movesOf = (findings: readonly Finding[]): Record<string, unknown>[] =>
  findings.flatMap((finding) => (finding.kind === 'move' ? [finding.value] : []));

/** The reasons among findings. */
export const reasonsOf = (findings: readonly Finding[]): string[] =>
  findings.flatMap((finding) => (finding.kind === 'reject' ? [finding.reason] : []));

/** The raw samples among findings. */
export const samplesOf = (
  findings: readonly Finding[],
  kind: 'link-sample' | 'instance-sample',
): Record<string, unknown>[] => findings.flatMap((finding) => (finding.kind === kind ? [finding.value] : []));
