import {
  usesMemory,
  type Cluster,
  type DiskTemplate,
  type InstancePolicy,
  type InstanceSpec,
} from './cluster.js';
import {
  F_DSK,
  F_SPIN,
  FAILS_N1,
  FORTHCOMING,
  I_SPIN,
  LOAD_CPU,
  PRIMARIES,
  R_MEM,
  ROW,
  RUNNING,
  SECONDARIES,
  U_CPU,
  U_MEM,
  USES_MEMORY,
  type GroupModel,
} from './group-model.js';
import { showFixed, showFloat } from './haskell-numbers.js';
import { moveCommands, moveLetters, type Move } from './moves.js';
import { freeDiskShare, METRICS } from './score.js';

/** What hbal prints, byte for byte, so that scripts which read its output can read ours. */

/** The longest common suffix of all node and instance names that starts with a dot, or ''. */
export function commonSuffix(names: readonly string[]): string {
  let suffix: string | undefined;
  for (const name of names) {
    if (suffix === undefined) suffix = name;
    else {
      let length = 0;
      const most = Math.min(suffix.length, name.length);
      while (length < most && suffix.at(-1 - length) === name.at(-1 - length)) length += 1;
      suffix = suffix.slice(suffix.length - length);
    }
    if (suffix === '') return '';
  }
  const dot = (suffix ?? '').indexOf('.');
  return dot < 0 ? '' : suffix!.slice(dot);
}

/** Names with the common suffix cut off. */
export class ShortNames {
  readonly suffix: string;
  readonly #model: GroupModel;

  constructor(model: GroupModel) {
    const { cluster } = model;
    this.#model = model;
    this.suffix = commonSuffix([...cluster.nodes, ...cluster.instances].map(({ name }) => name));
  }

  readonly node = (index: number): string => this.#cut(this.#model.nodes[index]?.name ?? '');
  readonly instance = (index: number): string => this.#cut(this.#model.instances[index]!.name);

  #cut(name: string): string {
    return this.suffix !== '' && name.endsWith(this.suffix)
      ? name.slice(0, name.length - this.suffix.length)
      : name;
  }
}

/** One line a step: `  1. inst old:old => new:new  score a=letters`, in columns as wide as they need be. */
export function solutionLines(
  steps: readonly { move: Move; score: number }[],
  model: GroupModel,
  names: ShortNames,
): string[] {
  let nodeWidth = 0;
  let instanceWidth = 0;
  for (let k = 0; k < model.nodeCount; k++) nodeWidth = Math.max(nodeWidth, names.node(k).length);
  for (let i = 0; i < model.instanceCount; i++)
    instanceWidth = Math.max(instanceWidth, names.instance(i).length);
  const pairWidth = nodeWidth * 2 + 1;
  const pair = (p: number, s: number): string =>
    s < 0 ? names.node(p) : `${names.node(p)}:${names.node(s)}`;
  return steps.map(({ move, score }, m) => {
    const from = pair(move.fromPrimary, move.fromSecondary).padEnd(pairWidth);
    const to = pair(move.toPrimary, move.toSecondary).padEnd(pairWidth);
    const letters = moveLetters(move, names.node);
    return `  ${String(m + 1).padStart(3)}. ${names.instance(move.instance).padEnd(instanceWidth)} ${from} => ${to} ${showFixed(score, 8).padStart(12)} a=${letters}`;
  });
}

/** The table of components, values before their weights; without an online node there are none. */
export function componentLines(components: Float64Array, onlineNodes: number): string[] {
  if (onlineNodes === 0) return ['   Field Value Weight'];
  const values = METRICS.map((_metric, c) => showFixed(components[c]!, 8));
  const valueWidth = Math.max(5, ...values.map((text) => text.length));
  const weights = METRICS.map(({ weight }) => `x${showFixed(weight, 2)}`);
  const nameWidth = Math.max(...METRICS.map(({ name }) => name.length));
  const line = (name: string, value: string, weight: string): string =>
    `   ${name.padEnd(nameWidth)} ${value.padStart(valueWidth)} ${weight.padStart(6)}`;
  return [
    line('Field', 'Value', 'Weight'),
    ...METRICS.map(({ name }, c) => line(name, values[c]!, weights[c]!)),
  ];
}

/** The commands by job set, with nothing around them. Names as in the cluster unless short ones are given. */
export function commandLines(
  model: GroupModel,
  moves: readonly Move[],
  jobsets: readonly (readonly number[])[],
  { checks, names }: { checks: boolean; names?: ShortNames | undefined },
): string[] {
  const lines: string[] = [];
  jobsets.forEach((set, s) => {
    lines.push('', `echo jobset ${s + 1}, ${set.length} jobs`);
    set.forEach((m, job) => {
      lines.push(`  echo job ${s + 1}/${job + 1}`);
      if (checks) lines.push('  check');
      for (const command of moveCommands(model, moves[m]!, names)) lines.push(`  ${command}`);
    });
  });
  return lines;
}

/** The shell script that `-CFILE` writes. */
export const commandScript = (lines: readonly string[]): string =>
  `#!/bin/sh

# Auto-generated script for executing cluster rebalancing

# To stop, touch the file /tmp/stop-htools

set -e

check() {
  if [ -f /tmp/stop-htools ]; then
    echo 'Stop requested, exiting'
    exit 0
  fi
}

${lines.map((line) => `${line}\n`).join('')}`;

const TEMPLATE_NAMES: Record<DiskTemplate, string> = {
  diskless: 'DTDiskless',
  file: 'DTFile',
  sharedfile: 'DTSharedFile',
  plain: 'DTPlain',
  blockdev: 'DTBlock',
  drbd: 'DTDrbd8',
  rbd: 'DTRbd',
  ext: 'DTExt',
  gluster: 'DTGluster',
};

const specRecord = (spec: InstanceSpec): string =>
  `ISpec {iSpecMemorySize = ${spec.memory}, iSpecCpuCount = ${spec.cpus}, iSpecDiskSize = ${spec.disk}, ` +
  `iSpecDiskCount = ${spec.disks}, iSpecNicCount = ${spec.nics}, iSpecSpindleUse = ${spec.spindleUse}}`;

/** A policy as a Haskell record, which is how hbal shows it with `-v`. */
export function policyRecord(policy: InstancePolicy): string {
  const ranges = policy.ranges.map(
    ({ minimum, maximum }) =>
      `MinMaxISpecs {minMaxISpecsMinSpec = ${specRecord(minimum)}, minMaxISpecsMaxSpec = ${specRecord(maximum)}}`,
  );
  return (
    `IPolicy {iPolicyMinMaxISpecs = [${ranges.join(',')}], iPolicyStdSpec = ${specRecord(policy.standard)}, ` +
    `iPolicyDiskTemplates = [${policy.templates.map((template) => TEMPLATE_NAMES[template]).join(',')}], ` +
    `iPolicyVcpuRatio = ${showFloat(policy.vcpuRatio)}, iPolicySpindleRatio = ${showFloat(policy.spindleRatio)}}`
  );
}

type Cell = (model: GroupModel, node: number, names: ShortNames) => string;

const row = (model: GroupModel, node: number, field: number): number => model.rows[node * ROW + field]!;

const instanceMemory = (model: GroupModel, node: number): number => {
  let sum = 0;
  for (let i = 0; i < model.instanceCount; i++)
    if (model.primary[i] === node && model.has(i, USES_MEMORY)) sum += model.memory[i]!;
  return sum;
};

const GIB = 1024;
const ratio = (value: number): string => showFixed(value, 4);
const load =
  (component: number): Cell =>
  (model, node) =>
    showFixed(row(model, node, LOAD_CPU + component), 3);

/** The columns of the node table by hbal's names; those of the table without `-pFIELDS` come first, in its order. */
const NODE_FIELDS: Record<string, { title: string; right: boolean; cell: Cell }> = {
  status: {
    title: 'F',
    right: false,
    cell: (model, node) => (model.online[node] === 0 ? '-' : row(model, node, FAILS_N1) === 1 ? '*' : ' '),
  },
  name: { title: 'Name', right: false, cell: (_model, node, names) => names.node(node) },
  tmem: { title: 't_mem', right: true, cell: (model, node) => showFixed(model.totalMemory[node]!, 0) },
  nmem: { title: 'n_mem', right: true, cell: (model, node) => String(model.nodeMemory[node]!) },
  imem: { title: 'i_mem', right: true, cell: (model, node) => String(instanceMemory(model, node)) },
  xmem: { title: 'x_mem', right: true, cell: (model, node) => String(model.missingMemory[node]!) },
  fmem: { title: 'f_mem', right: true, cell: (model, node) => String(model.nodes[node]!.freeMemory) },
  umem: { title: 'u_mem', right: true, cell: (model, node) => String(row(model, node, U_MEM)) },
  rmem: { title: 'r_mem', right: true, cell: (model, node) => String(row(model, node, R_MEM)) },
  tdsk: { title: 't_dsk', right: true, cell: (model, node) => showFixed(model.totalDisk[node]! / GIB, 0) },
  fdsk: {
    title: 'f_dsk',
    right: true,
    cell: (model, node) => String(Math.floor(row(model, node, F_DSK) / GIB)),
  },
  tcpu: { title: 'pcpu', right: true, cell: (model, node) => showFixed(model.totalCpu[node]!, 0) },
  ucpu: { title: 'vcpu', right: true, cell: (model, node) => String(row(model, node, U_CPU)) },
  pcnt: { title: 'pcnt', right: true, cell: (model, node) => String(row(model, node, PRIMARIES)) },
  scnt: { title: 'scnt', right: true, cell: (model, node) => String(row(model, node, SECONDARIES)) },
  pfmem: {
    title: 'p_fmem',
    right: true,
    cell: (model, node) => ratio(row(model, node, U_MEM) / model.totalMemory[node]!),
  },
  pfdsk: {
    title: 'p_fdsk',
    right: true,
    cell: (model, node) =>
      ratio(freeDiskShare(model, node, row(model, node, F_DSK), row(model, node, F_SPIN))),
  },
  rcpu: {
    title: 'r_cpu',
    right: true,
    cell: (model, node) => showFixed(row(model, node, U_CPU) / model.totalCpu[node]!, 2),
  },
  cload: { title: 'lCpu', right: true, cell: load(0) },
  mload: { title: 'lMem', right: true, cell: load(1) },
  dload: { title: 'lDsk', right: true, cell: load(2) },
  nload: { title: 'lNet', right: true, cell: load(3) },
  idx: { title: 'Index', right: true, cell: (model, node) => String(model.nodeIndex[node]!) },
  fqdn: { title: 'Name', right: false, cell: (model, node) => model.nodes[node]!.name },
  amem: {
    title: 'a_mem',
    right: true,
    cell: (model, node) => String(Math.max(0, row(model, node, U_MEM) - row(model, node, R_MEM))),
  },
  spindle_count: { title: 'NodeSpindles', right: true, cell: (model, node) => String(model.spindles[node]!) },
  hi_spindles: {
    title: 'MaxSpindles',
    right: true,
    cell: (model, node) => showFixed(model.highSpindles[node]!, 1),
  },
  inst_spindles: {
    title: 'InstSpindles',
    right: true,
    cell: (model, node) => showFixed(row(model, node, I_SPIN), 1),
  },
};

const DEFAULT_NODE_FIELDS = Object.keys(NODE_FIELDS).slice(0, Object.keys(NODE_FIELDS).indexOf('idx'));

/** hbal's node table. `fields`: '' for its usual columns, `a,b` for these, `+a,b` for these as well. */
export function nodeTable(model: GroupModel, names: ShortNames, fields = ''): string[] {
  const wanted =
    fields === ''
      ? DEFAULT_NODE_FIELDS
      : fields.startsWith('+')
        ? [
            ...DEFAULT_NODE_FIELDS,
            ...fields
              .slice(1)
              .split(',')
              .filter((field) => field !== ''),
          ]
        : fields.split(',');
  const columns = wanted.map((field) => NODE_FIELDS[field]);
  const rows = Array.from({ length: model.nodeCount }, (_, k) =>
    columns.map((column) => column?.cell(model, k, names) ?? '<unknown field>'),
  );
  return alignTable(
    columns.map((column) => column?.title ?? '<unknown field>'),
    rows,
    columns.map((column) => column?.right ?? false),
  );
}

/** hbal's instance table. */
export function instanceTable(model: GroupModel): string[] {
  const rows = model.instances.map((instance, i) => {
    const secondary = model.secondary[i]!;
    const loads = Array.from({ length: 4 }, (_, c) => showFixed(model.loads[i * 4 + c]!, 3));
    return [
      model.has(i, RUNNING) ? 'R' : ' ',
      instance.name,
      model.nodes[model.primary[i]!]!.name,
      secondary < 0 ? '' : (model.nodes[secondary]?.name ?? ''),
      instance.autoBalance ? 'Y' : 'N',
      String(instance.vcpus).padStart(3),
      String(instance.memory).padStart(5),
      String(Math.floor(instance.disk / GIB)).padStart(5),
      ...loads,
    ];
  });
  const titles = 'F Name Pri_node Sec_node Auto_bal vcpu mem dsk lCpu lMem lDsk lNet'.split(' ');
  return alignTable(
    titles,
    rows,
    titles.map((_title, c) => c >= 5),
  );
}

function alignTable(
  titles: readonly string[],
  rows: readonly (readonly string[])[],
  right: readonly boolean[],
): string[] {
  const widths = titles.map((title, c) => Math.max(title.length, ...rows.map((cells) => cells[c]!.length)));
  return [titles, ...rows].map(
    (cells) =>
      ` ${cells.map((cell, c) => (right[c] === true ? cell.padStart(widths[c]!) : cell.padEnd(widths[c]!))).join(' ')}`,
  );
}

const failsN1 = (model: GroupModel, node: number): boolean =>
  node >= 0 && node < model.nodeCount && model.online[node] === 1 && row(model, node, FAILS_N1) === 1;

/** Nodes that fail N+1, and instances on them, each counted once: hbal's first check. */
export function countBad(model: GroupModel): { nodes: number; instances: number } {
  let nodes = 0;
  let instances = 0;
  for (let k = 0; k < model.nodeCount; k++) if (failsN1(model, k)) nodes += 1;
  for (let i = 0; i < model.instanceCount; i++)
    if (
      !model.has(i, FORTHCOMING) &&
      (failsN1(model, model.primary[i]!) || failsN1(model, model.secondary[i]!))
    )
      instances += 1;
  return { nodes, instances };
}

/** Nodes over the policy's ratio of virtual to physical CPUs or of spindles; those that fail N+1 are counted there. */
export function countPolicyViolations(model: GroupModel): number {
  let count = 0;
  for (let k = 0; k < model.nodeCount; k++) {
    if (failsN1(model, k)) continue;
    const isOverCpus = row(model, k, U_CPU) / model.totalCpu[k]! > model.vcpuRatio;
    if (isOverCpus || row(model, k, I_SPIN) > model.highSpindles[k]!) count += 1;
  }
  return count;
}

/** Excess of unexplained memory (MiB) or disk (MiB) over which hbal warns. */
const NOTABLE_MEMORY = 512;
const NOTABLE_DISK = 1024;

/** hbal's warnings on nodes whose figures the instances do not explain; over the whole cluster. */
export function inconsistencyLines(cluster: Cluster): string[] {
  const memory = cluster.nodes.map(
    (node) => Math.trunc(node.totalMemory) - node.nodeMemory - node.freeMemory,
  );
  const disk = cluster.nodes.map((node) => Math.trunc(node.totalDisk) - node.freeDisk);
  for (const instance of cluster.instances) {
    if (instance.forthcoming) continue;
    if (usesMemory(instance)) memory[instance.primary]! -= instance.memory;
    // Whatever the template: hbal takes the disks of all for the node's own here.
    disk[instance.primary]! -= instance.disk;
    if (instance.secondary >= 0) disk[instance.secondary]! -= instance.disk;
  }
  const lines: string[] = [];
  cluster.nodes.forEach((node, k) => {
    if (memory[k]! <= NOTABLE_MEMORY && disk[k]! <= NOTABLE_DISK) return;
    lines.unshift(
      `  - node ${node.name} is missing ${memory[k]} MB ram and ${Math.floor(disk[k]! / GIB)} GB disk`,
    );
  });
  return lines.length === 0 ? [] : ['Warning: cluster has inconsistent data:', ...lines, ''];
}
