import { UserError } from '../domain/errors.js';
import { withArticle } from '../domain/fields.js';
import {
  ALLOCATION_POLICIES,
  DISK_TEMPLATES,
  INSTANCE_STATUSES,
  builtInPolicy,
  type Cluster,
  type ClusterGroup,
  type ClusterInstance,
  type ClusterNode,
  type InstancePolicy,
  type InstanceSpec,
} from './cluster.js';
import { readFloat, readInteger, showFixed, showFloat } from './haskell-numbers.js';

/**
 * Ganeti's htools text format, read and written: what `hscan` and `hbal -S` write and `hbal -t` reads. Sections are
 * parted by empty lines: groups, nodes, instances, cluster tags, policies. Fields are parted by `|`, lists by `,`;
 * there is no escaping and no comment.
 */

const REQUIRED_SECTIONS = 4;

export interface ParsedCluster {
  cluster: Cluster;
  /** Sentences on what was odd but readable, such as columns that nobody knows. */
  remarks: string[];
}

export interface HtoolsTextOptions {
  /** Named in error sentences. */
  file: string;
  /** A name that stands twice: refused, or as in hbal, where the later row wins when it is looked up. */
  duplicates: 'refuse' | 'later-wins';
}

/** Text → cluster. Throws a `UserError` that names the file, the line and the column. O(length). */
export function parseHtoolsText(text: string, { file, duplicates }: HtoolsTextOptions): ParsedCluster {
  const sections = splitSections(text);
  if (sections.length < REQUIRED_SECTIONS) {
    const hint = text.includes('\r')
      ? 'its lines end in CR LF, of which the format knows nothing: convert them to LF'
      : 'groups, nodes, instances and cluster tags are expected, parted by empty lines';
    throw new UserError(
      'input-unreadable',
      `${file}: has ${sections.length} of the ${REQUIRED_SECTIONS} sections of a Ganeti htools text file; ${hint}`,
    );
  }
  refuseControlCharacters(text, file);
  const reader = new RowReader(file);
  const remarks: string[] = [];
  const section = (index: number): Section => sections[index] ?? { firstLine: 1, lines: [] };

  const groups = section(0).lines.map((line, i) => readGroup(reader.row(line, section(0).firstLine + i)));
  const groupByUuid = indexByName(groups, (group) => group.uuid, 'group uuid', file, duplicates, remarks);
  const groupByName = indexByName(groups, (group) => group.name, 'group', file, duplicates, remarks);
  const nodes = section(1).lines.map((line, i) =>
    readNode(reader.row(line, section(1).firstLine + i), groupByUuid),
  );
  const nodeByName = indexByName(nodes, (node) => node.name, 'node', file, duplicates, remarks);
  const instances = section(2).lines.map((line, i) =>
    readInstance(reader.row(line, section(2).firstLine + i), nodeByName),
  );
  indexByName(instances, (instance) => instance.name, 'instance', file, duplicates, remarks);

  let policy = builtInPolicy();
  const groupPolicies = groups.map(() => builtInPolicy());
  section(4).lines.forEach((line, i) => {
    const row = reader.row(line, section(4).firstLine + i);
    const owner = row.text(0, 'owner');
    const read = readPolicy(row);
    if (owner === '') policy = read;
    else {
      const group = groupByName.get(owner);
      if (group === undefined) row.fail('owner', `names group '${owner}', which the file does not have`);
      else groupPolicies[group] = read;
    }
  });
  remarks.push(...reader.remarks());
  return { cluster: { groups, nodes, instances, tags: section(3).lines, policy, groupPolicies }, remarks };
}

/** Cluster → text, byte for byte as `hbal -S` writes it. O(length). */
export function formatHtoolsText(cluster: Cluster): string {
  const groups = cluster.groups.map((group) =>
    [group.name, group.uuid, group.allocationPolicy, group.tags.join(','), group.networks.join(',')].join(
      '|',
    ),
  );
  const nodes = cluster.nodes.map((node) =>
    [
      node.name,
      showFixed(node.totalMemory, 0),
      node.nodeMemory,
      node.freeMemory,
      showFixed(node.totalDisk, 0),
      node.freeDisk,
      showFixed(node.totalCpu, 0),
      node.offline ? 'Y' : node.master ? 'M' : 'N',
      cluster.groups[node.group]!.uuid,
      node.spindles,
      node.tags.join(','),
      node.exclusiveStorage ? 'Y' : 'N',
      node.freeSpindles,
      node.nodeCpu,
      showFloat(node.cpuSpeed),
    ].join('|'),
  );
  const instances = cluster.instances.map((instance) =>
    [
      instance.name,
      instance.memory,
      instance.disk,
      instance.vcpus,
      instance.status,
      instance.autoBalance ? 'Y' : 'N',
      cluster.nodes[instance.primary]!.name,
      instance.secondary < 0 ? '' : cluster.nodes[instance.secondary]!.name,
      instance.template,
      instance.tags.join(','),
      instance.spindleUse,
      instance.diskSpindles ?? '-',
      instance.forthcoming ? 'Y' : 'N',
    ].join('|'),
  );
  const policies = [
    policyLine('', cluster.policy),
    ...cluster.groups.map((group, i) => policyLine(group.name, cluster.groupPolicies[i]!)),
  ];
  return [groups, nodes, instances, cluster.tags, policies]
    .map((lines) => lines.map((line) => `${line}\n`).join(''))
    .join('\n');
}

interface Section {
  /** Line number of its first line, from 1. */
  firstLine: number;
  lines: string[];
}

/** Lines grouped at empty lines; n empty lines make n + 1 sections, of which some may be empty. */
function splitSections(text: string): Section[] {
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  if (lines.length === 0) return [];
  const sections: Section[] = [{ firstLine: 1, lines: [] }];
  lines.forEach((line, i) => {
    if (line === '') sections.push({ firstLine: i + 2, lines: [] });
    else sections.at(-1)!.lines.push(line);
  });
  return sections;
}

/** Ganeti's names and figures have none, and in a table they would write to the terminal. */
// eslint-disable-next-line no-control-regex
const CONTROL_CHARACTER = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029]/;

function refuseControlCharacters(text: string, file: string): void {
  const at = text.search(CONTROL_CHARACTER);
  if (at < 0) return;
  const lines = text.slice(0, at).split('\n');
  const code = text.charCodeAt(at).toString(16).toUpperCase().padStart(4, '0');
  throw new UserError(
    'input-invalid',
    `${file}, line ${lines.length}: character ${lines.at(-1)!.length + 1} is a control character (U+${code}), which no name or figure of Ganeti's has; remove it`,
  );
}

const splitList = (text: string): string[] => (text === '' ? [] : text.split(','));

/** Reads rows of one file; keeps count of columns that it does not know. */
class RowReader {
  readonly #file: string;
  #rowsWithExtraColumns = 0;
  #firstExtra = '';

  constructor(file: string) {
    this.#file = file;
  }

  row(line: string, lineNumber: number): Row {
    return new Row(line.split('|'), `${this.#file}, line ${lineNumber}`, (kind, known, found) => {
      this.#rowsWithExtraColumns += 1;
      if (this.#firstExtra === '')
        this.#firstExtra = `line ${lineNumber}: ${withArticle(kind)} has ${known} columns, found ${found}`;
    });
  }

  remarks(): string[] {
    if (this.#rowsWithExtraColumns === 0) return [];
    const rows = this.#rowsWithExtraColumns === 1 ? '1 row has' : `${this.#rowsWithExtraColumns} rows have`;
    return [
      `${this.#file}: ${rows} columns that the format does not know; they are ignored (first at ${this.#firstExtra})`,
    ];
  }
}

class Row {
  readonly #fields: string[];
  readonly #place: string;
  readonly #onExtra: (kind: string, known: number, found: number) => void;

  constructor(
    fields: string[],
    place: string,
    onExtra: (kind: string, known: number, found: number) => void,
  ) {
    this.#fields = fields;
    this.#place = place;
    this.#onExtra = onExtra;
  }

  columns(kind: string, least: number, most: number): void {
    const found = this.#fields.length;
    if (found < least)
      throw new UserError(
        'input-invalid',
        `${this.#place}: ${withArticle(kind)} needs at least ${least} columns parted by |, found ${found}`,
      );
    if (found > most) this.#onExtra(kind, most, found);
  }

  get length(): number {
    return this.#fields.length;
  }

  text(index: number, _column: string): string {
    return this.#fields[index] ?? '';
  }

  list(index: number): string[] {
    return splitList(this.#fields[index] ?? '');
  }

  /** `absent` stands in where the row is too short for the column. */
  integer(index: number, column: string, absent?: number): number {
    const field = this.#fields[index];
    if (field === undefined && absent !== undefined) return absent;
    return readInteger(field ?? '') ?? this.fail(column, `is not a whole number: '${shorten(field)}'`);
  }

  float(index: number, column: string, absent?: number): number {
    const field = this.#fields[index];
    if (field === undefined && absent !== undefined) return absent;
    return readFloat(field ?? '') ?? this.fail(column, `is not a number: '${shorten(field)}'`);
  }

  yesNo(index: number, column: string, absent?: boolean): boolean {
    const field = this.#fields[index];
    if (field === undefined && absent !== undefined) return absent;
    if (field === 'Y') return true;
    if (field === 'N') return false;
    return this.fail(column, `must be Y or N: '${shorten(field)}'`);
  }

  oneOf<T extends string>(index: number, column: string, allowed: readonly T[]): T {
    const field = this.#fields[index];
    return (
      allowed.find((word) => word === field) ??
      this.fail(column, `must be one of ${allowed.join(', ')}: '${shorten(field)}'`)
    );
  }

  fail(column: string, what: string): never {
    throw new UserError('input-invalid', `${this.#place}: ${column} ${what}`, column);
  }
}

const LONGEST_QUOTE = 60;
const shorten = (text = ''): string =>
  text.length > LONGEST_QUOTE ? `${text.slice(0, LONGEST_QUOTE)}…` : text;

function readGroup(row: Row): ClusterGroup {
  row.columns('group', 4, 5);
  return {
    name: row.text(0, 'name'),
    uuid: row.text(1, 'uuid'),
    allocationPolicy: row.oneOf(2, 'allocation policy', ALLOCATION_POLICIES),
    tags: row.list(3),
    networks: row.list(4),
  };
}

function readNode(row: Row, groupByUuid: ReadonlyMap<string, number>): ClusterNode {
  row.columns('node', 9, 15);
  const name = row.text(0, 'name');
  const uuid = row.text(8, 'group uuid');
  const group =
    groupByUuid.get(uuid) ?? row.fail('group uuid', `'${shorten(uuid)}' of node ${name} is no group's`);
  const unknown = [1, 2, 3, 4, 5, 6].some((column) => row.text(column, '') === '?');
  if (unknown) {
    return {
      name,
      totalMemory: 0,
      nodeMemory: 0,
      freeMemory: 0,
      totalDisk: 0,
      freeDisk: 0,
      totalCpu: 0,
      offline: true,
      master: false,
      group,
      spindles: 0,
      tags: [],
      exclusiveStorage: false,
      freeSpindles: 0,
      nodeCpu: 0,
      cpuSpeed: 1,
    };
  }
  return {
    name,
    totalMemory: row.float(1, 'total memory'),
    nodeMemory: row.integer(2, 'node memory'),
    freeMemory: row.integer(3, 'free memory'),
    totalDisk: row.float(4, 'total disk'),
    freeDisk: row.integer(5, 'free disk'),
    totalCpu: row.float(6, 'total CPUs'),
    offline: row.text(7, 'flag') === 'Y',
    master: row.text(7, 'flag') === 'M',
    group,
    spindles: row.integer(9, 'spindles', 1),
    tags: row.list(10),
    exclusiveStorage: row.yesNo(11, 'exclusive storage', false),
    freeSpindles: row.integer(12, 'free spindles', 0),
    nodeCpu: row.integer(13, 'node CPUs', 1),
    cpuSpeed: row.float(14, 'CPU speed', 1),
  };
}

function readInstance(row: Row, nodeByName: ReadonlyMap<string, number>): ClusterInstance {
  row.columns('instance', 10, 13);
  const name = row.text(0, 'name');
  const node = (column: number, label: string): number => {
    const wanted = row.text(column, label);
    return (
      nodeByName.get(wanted) ??
      row.fail(label, `of instance ${name} is node '${shorten(wanted)}', which the file does not have`)
    );
  };
  const primary = node(6, 'primary');
  const secondary = row.text(7, 'secondary') === '' ? -1 : node(7, 'secondary');
  const template = row.oneOf(8, 'disk template', DISK_TEMPLATES);
  if (template === 'drbd' && primary === secondary)
    row.fail('secondary', `of instance ${name} is its primary as well; a mirror needs two nodes`);
  const spindles = row.text(11, 'disk spindles');
  return {
    name,
    memory: row.integer(1, 'memory'),
    disk: row.integer(2, 'disk'),
    vcpus: row.integer(3, 'vcpus'),
    status: row.oneOf(4, 'status', INSTANCE_STATUSES),
    autoBalance: row.yesNo(5, 'auto_balance'),
    primary,
    secondary,
    template,
    tags: row.list(9),
    spindleUse: row.integer(10, 'spindle use', 1),
    diskSpindles: row.length <= 11 || spindles === '-' ? undefined : row.integer(11, 'disk spindles'),
    forthcoming: row.yesNo(12, 'forthcoming', false),
  };
}

function readSpec(text: string, row: Row, label: string): InstanceSpec {
  const parts = splitList(text).map(
    (part) => readInteger(part) ?? row.fail(label, `holds '${shorten(part)}', which is not a whole number`),
  );
  const [memory, cpus, disk, disks, nics, spindleUse] = parts;
  if (parts.length !== 6 || spindleUse === undefined)
    return row.fail(label, `needs 6 whole numbers parted by commas, found ${parts.length}`);
  return { memory: memory!, cpus: cpus!, disk: disk!, disks: disks!, nics: nics!, spindleUse };
}

function readPolicy(row: Row): InstancePolicy {
  row.columns('policy', 6, 6);
  const standard = readSpec(row.text(1, ''), row, 'standard spec');
  const specs = row
    .text(2, '')
    .split(';')
    .filter((spec, _i, all) => all.length > 1 || spec !== '')
    .map((spec) => readSpec(spec, row, 'min/max spec'));
  if (specs.length % 2 !== 0)
    row.fail('min/max spec', `needs pairs of a least and a largest, found ${specs.length}`);
  const ranges: InstancePolicy['ranges'] = [];
  for (let i = 0; i < specs.length; i += 2) ranges.push({ minimum: specs[i]!, maximum: specs[i + 1]! });
  const templates = row.list(3).map((word) => {
    const template = DISK_TEMPLATES.find((known) => known === word);
    return template ?? row.fail('templates', `holds '${shorten(word)}', which is no disk template`);
  });
  return {
    standard,
    ranges,
    templates,
    vcpuRatio: row.float(4, 'vcpu ratio'),
    spindleRatio: row.float(5, 'spindle ratio'),
  };
}

const specText = (spec: InstanceSpec): string =>
  [spec.memory, spec.cpus, spec.disk, spec.disks, spec.nics, spec.spindleUse].join(',');

const policyLine = (owner: string, policy: InstancePolicy): string =>
  [
    owner,
    specText(policy.standard),
    policy.ranges.flatMap(({ minimum, maximum }) => [specText(minimum), specText(maximum)]).join(';'),
    policy.templates.join(','),
    showFloat(policy.vcpuRatio),
    showFloat(policy.spindleRatio),
  ].join('|');

function indexByName<T>(
  items: readonly T[],
  nameOf: (item: T) => string,
  kind: string,
  file: string,
  duplicates: HtoolsTextOptions['duplicates'],
  remarks: string[],
): Map<string, number> {
  const index = new Map<string, number>();
  items.forEach((item, i) => {
    const name = nameOf(item);
    if (index.has(name)) {
      const sentence = `${file}: ${kind} ${name} stands twice`;
      if (duplicates === 'refuse')
        throw new UserError('input-invalid', `${sentence}; remove or rename one of the two`);
      remarks.push(`${sentence}; the later row counts where the name is looked up, as in hbal`);
    }
    index.set(name, i);
  });
  return index;
}
