import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import request from 'supertest';
import { serviceSettings } from '../../src/commands/service-settings.js';
import { watchSettings } from '../../src/commands/watch-settings.js';
import { finishedMove, serviceFixture, type ServiceFixture } from './service-fixture.js';

const read = (name: string): string => readFileSync(`deploy/${name}`, 'utf8');

let service: ServiceFixture;
/** Names of the metrics that a running service shows, those that Prometheus derives from histograms included. */
let metrics: Set<string>;
let exposition: string;

beforeAll(async () => {
  service = await serviceFixture({ moves: [finishedMove('m1', 60, 5)] });
  service.parts.metrics.watchProcess();
  await request(service.app).get('/healthz');
  exposition = (await request(service.app).get('/metrics')).text;
  metrics = new Set([...exposition.matchAll(/^([a-z_]+)(?:\{| )/gm)].map((match) => match[1]!));
});
afterAll(() => service.close());

/** Every metric of ours that a text names, words of URLs, file names and services left aside. */
const named = (text: string): string[] => [
  ...new Set([...text.matchAll(/\b(?:movecast_[a-z_]+|process_[a-z_]+)\b/g)].map((match) => match[0])),
];

describe('what stands in deploy/', () => {
  it.each(['prometheus/movecast.rules.yml', 'grafana/movecast.json'])(
    '%s names only metrics that the service shows',
    (name) => {
      const used = named(read(name));
      expect(used.length).toBeGreaterThan(5);
      expect(used.filter((metric) => !metrics.has(metric))).toEqual([]);
    },
  );

  it('the rules ask for labels that the metrics have', () => {
    for (const label of [
      'kind="drift"',
      'kind="coverage"',
      'route="/healthz"',
      'status="200"',
      'level="0.9"',
    ])
      expect(exposition).toContain(label);
  });

  it('every alert says what it is and what to do', () => {
    const alerts = read('prometheus/movecast.rules.yml').split('- alert: ').slice(1);
    expect(alerts.length).toBeGreaterThanOrEqual(8);
    for (const alert of alerts) expect(alert).toMatch(/for: \d+[mh][\s\S]*summary: .+\n\s+description: .+/);
  });

  it.each([
    'compose.yaml',
    'kubernetes/movecast.yaml',
    'systemd/movecast.service',
    'systemd/movecast-watch.service',
  ])('%s sets only variables that the service reads', (name) => {
    const known = new Set([
      ...serviceSettings.keys.map((key) => serviceSettings.environmentName(key)),
      'MOVECAST_CONFIG',
    ]);
    const used = [...new Set([...read(name).matchAll(/\bMOVECAST_[A-Z_]+/g)].map((match) => match[0]))];
    expect(used.length).toBeGreaterThan(0);
    expect(used.filter((variable) => !known.has(variable))).toEqual([]);
  });

  it('systemd/movecast-watch.service tells a watch only what it can be told, and is as hardened as the service', () => {
    const watch = read('systemd/movecast-watch.service');
    const [, example] = /(\{"watch": \{[^}]*\}\})/.exec(watch.replaceAll('\n#', ''))!;
    const told = Object.keys((JSON.parse(example!) as { watch: object }).watch);
    expect(watchSettings.keys).toEqual(expect.arrayContaining(told));
    const protections = (unit: string): string[] =>
      unit
        .split('\n')
        .filter((line) => /^(?:Protect|Private|Restrict|No|System|Cap|Amb|Lock|Remove|UMask)/.test(line));
    expect(protections(watch)).toEqual(protections(read('systemd/movecast.service')));
  });

  it.each(['compose.yaml', 'kubernetes/movecast.yaml'])('%s probes routes that answer', async (name) => {
    const probed = [
      ...new Set([...read(name).matchAll(/(?:path: |8080)(\/[a-z]+z)\b/g)].map((match) => match[1]!)),
    ];
    expect(probed.length).toBeGreaterThan(0);
    for (const path of probed) expect((await request(service.app).get(path)).status).toBe(200);
  });

  it('holds no password', () => {
    expect(read('example.env')).toMatch(/^(#.*\n|[A-Z_]+=\n)+$/);
    for (const name of ['compose.yaml', 'kubernetes/movecast.yaml', 'grafana/movecast.json'])
      expect(read(name)).not.toMatch(/password['":= ]+[^\s'"$:{]*[a-z0-9]{6}/);
  });
});
