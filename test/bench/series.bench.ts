/** `npm run bench:series`: what a sample and a question cost a forecast of links, and what a link costs in memory. */
import { cpus } from 'node:os';
import { toIsoTime } from '../../src/domain/units.js';
import { LinkForecasts } from '../../src/predictor/link-forecast.js';

const LINKS = 100;
const SAMPLES = 600;
const QUESTIONS = 200_000;
const STEP_MS = 300_000;
const START_MS = Date.UTC(2026, 0, 5);

const heapBefore = process.memoryUsage();
const links = new LinkForecasts();
/** Of this process alone: what else the machine does is not counted. */
const cpuMicros = (): number => {
  const { user, system } = process.cpuUsage();
  return user + system;
};
let startedMicros = cpuMicros();
for (let i = 0; i < SAMPLES; i++) {
  const at = toIsoTime(START_MS + i * STEP_MS);
  for (let k = 0; k < LINKS; k++)
    links.learn({
      at,
      link: `n${k}>n${(k + 1) % LINKS}`,
      throughput_mbps: 300 + 200 * Math.sin(i / 40 + k),
      capacity_mbps: 1000,
    });
}
const learnMicros = (cpuMicros() - startedMicros) / (LINKS * SAMPLES);
const heapAfter = process.memoryUsage();
const ask = (n: number): number => {
  startedMicros = cpuMicros();
  let sum = 0;
  for (let i = 0; i < n; i++)
    sum += links.at(
      { sourceNode: `n${i % LINKS}`, targetNode: `n${(i + 1) % LINKS}` },
      START_MS + (SAMPLES + (i % 288)) * STEP_MS,
    )!.availableMbps![2]!;
  if (!Number.isFinite(sum)) throw new Error('a forecast was not finite');
  return (cpuMicros() - startedMicros) / n;
};
ask(QUESTIONS / 10);
const rounds = Array.from({ length: 5 }, () => ask(QUESTIONS)).sort((a, b) => a - b);
const bytes = heapAfter.heapUsed + heapAfter.arrayBuffers - heapBefore.heapUsed - heapBefore.arrayBuffers;
console.log(`${cpus()[0]?.model ?? 'unknown processor'}, Node ${process.version}, one thread`);
console.log(`${LINKS} links, ${SAMPLES} samples each; times are CPU time`);
console.log(`learning a sample   ${learnMicros.toFixed(1)} us`);
console.log(
  `a question          ${rounds[2]!.toFixed(2)} us (of five rounds ${rounds[0]!.toFixed(2)} to ${rounds[4]!.toFixed(2)})`,
);
console.log(`memory a link       ${(bytes / LINKS / 1024).toFixed(0)} KiB`);
