import { seededRandom } from '../../src/balancer/random.js';

/** Random clusters in the htools text format, with every oddity that the format allows, for tests and fixtures. */

export interface GeneratorOptions {
  seed: number;
  nodes: number;
  instancesPerNode: number;
  /** Share of instances by disk template. */
  drbd?: number;
  ext?: number;
  /** Tags, forthcoming instances, exclusive storage, odd figures: 0 none, 1 plenty. */
  oddity?: number;
  groups?: number;
}

/** The same text for the same options, always. */
export function generateCluster(options: GeneratorOptions): string {
  const { seed, nodes, instancesPerNode, drbd = 0.7, ext = 0.15, oddity = 0, groups = 1 } = options;
  const random = seededRandom(seed);
  const below = (n: number): number => Math.floor(random() * n);
  const pick = <T>(items: readonly T[]): T => items[below(items.length)]!;
  const odd = (chance: number): boolean => random() < chance * oddity;

  const groupLines = Array.from({ length: groups }, (_, g) => `group-${g + 1}|uuid-${g + 1}|preferred||`);
  const sizes = pick([[65536], [65536, 131072], [32768, 65536, 98304]]);
  const exclusive = odd(0.15);
  const made = Array.from({ length: nodes }, (_, k) => ({
    name: `node-${String(k + 1).padStart(3, '0')}.example.com`,
    memory: pick(sizes),
    hostMemory: pick([512, 1024, 2048]),
    disk: pick([1_000_000, 2_000_000]),
    cpus: pick([16, 32]),
    group: k % groups,
    offline: odd(0.12),
    usedMemory: 0,
    usedDisk: 0,
    usedSpindles: 0,
    spindles: exclusive ? 40 : pick([1, 4, 8]),
    tags: [
      ...(odd(0.6) ? [`rack:${below(3)}`] : []),
      ...(odd(0.3) ? [`hv:${below(2)}`] : []),
      ...(odd(0.2) ? ['plain'] : []),
    ],
  }));
  const count = nodes * instancesPerNode;
  const instanceLines: string[] = [];
  for (let i = 0; i < count; i++) {
    // A few nodes take more than their share, so that there is something to balance.
    const p = Math.min(below(nodes), below(nodes));
    const primary = made[p]!;
    const others = made.filter((node, k) => k !== p && (node.group === primary.group || odd(0.02)));
    const shape = random();
    const template =
      shape < drbd && others.length > 0
        ? 'drbd'
        : shape < drbd + ext
          ? pick(['ext', 'rbd', 'sharedfile', 'gluster', 'blockdev'])
          : pick(['plain', 'file', 'diskless']);
    const secondary = template === 'drbd' ? pick(others) : undefined;
    const memory = pick([512, 1024, 2048, 4096, 8192]);
    const disk = template === 'diskless' ? 0 : pick([5120, 10240, 20480, 51200, 102400]);
    const status = odd(0.25)
      ? pick(['ADMIN_down', 'ERROR_down', 'ADMIN_offline', 'USER_down', 'ERROR_up', 'ERROR_wrongnode'])
      : 'running';
    const spindles = exclusive ? 1 + below(2) : undefined;
    const forthcoming = odd(0.05);
    if (['running', 'ERROR_up', 'ERROR_wrongnode'].includes(status) && !forthcoming)
      primary.usedMemory += memory;
    if (!forthcoming)
      for (const node of template === 'drbd'
        ? [primary, secondary!]
        : template === 'plain'
          ? [primary]
          : []) {
        node.usedDisk += disk;
        node.usedSpindles += spindles ?? 0;
      }
    const tags = [
      ...(odd(0.3) ? [`service:${below(6)}`] : []),
      ...(odd(0.1) ? ['role:db'] : []),
      ...(odd(0.2) ? [`rack:${below(3)}`] : []),
    ];
    instanceLines.push(
      [
        `inst-${String(i + 1).padStart(4, '0')}.example.com`,
        memory,
        disk,
        pick([1, 1, 2, 4]),
        status,
        odd(0.08) ? 'N' : 'Y',
        primary.name,
        secondary?.name ?? '',
        template,
        tags.join(','),
        pick([1, 1, 2]),
        spindles ?? '-',
        forthcoming ? 'Y' : 'N',
      ].join('|'),
    );
  }
  const nodeLines = made.map((node) =>
    [
      node.name,
      node.memory,
      node.hostMemory,
      node.memory - node.hostMemory - node.usedMemory + (odd(0.4) ? below(3000) - 1500 : 0),
      node.disk,
      node.disk - node.usedDisk,
      node.cpus,
      node.offline ? 'Y' : 'N',
      `uuid-${node.group + 1}`,
      node.spindles,
      node.tags.join(','),
      exclusive ? 'Y' : 'N',
      exclusive ? node.spindles - node.usedSpindles : 0,
      pick([1, 2]),
      odd(0.2) ? pick(['1.5', '0.8']) : '1.0',
    ].join('|'),
  );
  const clusterTags = [
    ...(odd(0.6) ? ['htools:iextags:service'] : []),
    ...(odd(0.3) ? ['htools:iextags:role'] : []),
    ...(odd(0.5) ? ['htools:nlocation:rack'] : []),
    ...(odd(0.4) ? ['htools:desiredlocation:rack'] : []),
    ...(odd(0.3) ? ['htools:migration:hv'] : []),
    ...(odd(0.3) ? ['htools:allowmigration:hv:0::hv:1'] : []),
  ];
  const policy =
    '128,1,1024,1,1,1|128,1,0,0,0,1;65536,16,4194304,16,8,12|drbd,plain,ext,rbd,sharedfile,gluster,blockdev,diskless,file';
  const policyLines = [
    `|${policy}|4.0|32.0`,
    ...groupLines.map((line) => `${line.split('|')[0]}|${policy}|${odd(0.3) ? '2.5' : '8.0'}|32.0`),
  ];
  return [groupLines, nodeLines, instanceLines, clusterTags, policyLines]
    .map((lines) => lines.map((line) => `${line}\n`).join(''))
    .join('\n');
}
