import {
  isRunning,
  mirrorOf,
  usesLocalDisk,
  usesMemory,
  type Cluster,
  type ClusterInstance,
  type ClusterNode,
} from './cluster.js';
import { NO_LOAD, UNKNOWN_LOAD, type Load } from './utilisation.js';

/**
 * One node group as numbers: a row of quantities a node, kept up to date by moves, and columns of constants. The
 * formulas are hbal's (Ganeti 3.0.2). Nodes and instances are numbered within the group, in the file's order, which
 * decides ties.
 */

/** Fields of a node's row, by offset. Memory and disk in MiB; `*_FORTH` count forthcoming instances in. */
export const U_MEM = 0; // unallocated memory
export const F_MEM_FORTH = 1; // reported free memory less what is down or forthcoming
export const F_DSK = 2;
export const F_DSK_FORTH = 3;
export const F_SPIN = 4; // free spindles, exclusive storage only
export const F_SPIN_FORTH = 5;
export const I_SPIN = 6; // spindle use of the instances
export const I_SPIN_FORTH = 7;
export const U_CPU = 8; // virtual CPUs in use
export const U_CPU_FORTH = 9;
export const R_MEM = 10; // largest memory that the death of one other node would need here
export const LOAD_CPU = 11;
export const LOAD_MEM = 12;
export const LOAD_DSK = 13;
export const LOAD_NET = 14;
export const PRIMARIES = 15;
export const SECONDARIES = 16;
export const FAILS_N1 = 17; // 1 or 0
export const TAG_SCORE = 18; // exclusion tags in excess of one each
export const LOCATION_SCORE = 19;
export const ROW = 20;

/** Flags of an instance. */
export const USES_MEMORY = 1;
export const COUNTS_CPU = 2; // not ADMIN_offline
export const LOCAL_DISK = 4; // drbd or plain
export const RESERVES = 8; // memory is kept free for it on its secondary
export const FORTHCOMING = 16;
export const RUNNING = 32;

/** Which nodes a template's instances can go to. */
export const MIRROR_NONE = 0;
export const MIRROR_INTERNAL = 1;
export const MIRROR_EXTERNAL = 2;

/** Which N+1 rule holds before the first move touches a node: Ganeti 3.0.2's or that of 3.1.0 and later. */
export type LoadRule = '3.0' | '3.1';

export interface GroupModelOptions {
  /** Index into `cluster.groups`. */
  group: number;
  /** Names of nodes to treat as offline. */
  offline?: ReadonlySet<string>;
  /** Load by instance name; `ignoreLoads` sets all to 0. */
  loads?: ReadonlyMap<string, Load>;
  ignoreLoads?: boolean;
  /** Overrides the policy's virtual to physical CPU ratio. */
  maxCpuRatio?: number;
  /** Least share of a node's disk that is to stay free, 0 to 1. */
  minDiskRatio?: number;
  /** Prefixes of exclusion tags, beside those that cluster tags name; without the colon. */
  exclusionTags?: readonly string[];
  loadRule?: LoadRule;
}

const NO_NUMBERS = new Int32Array(0);

export class GroupModel {
  readonly cluster: Cluster;
  readonly nodes: readonly ClusterNode[];
  readonly instances: readonly ClusterInstance[];
  /** Cluster index of each instance. */
  readonly instanceIndex: Int32Array;
  readonly nodeIndex: Int32Array;
  readonly nodeCount: number;
  readonly instanceCount: number;

  /** nodeCount × ROW, row-major. */
  readonly rows: Float64Array;
  /** Memory that node needs here if peer died: nodeCount × peerColumns. Columns past nodeCount are foreign nodes. */
  readonly peers: Float64Array;
  readonly peerColumns: number;
  /** Primary and secondary of each instance: node numbers, -1 none, nodeCount and above foreign. */
  readonly primary: Int32Array;
  readonly secondary: Int32Array;

  readonly online: Uint8Array;
  readonly onlineCount: number;
  /** 1 for a node that Ganeti itself takes for offline: it is not up, so that nothing can be copied from it. */
  readonly dead: Uint8Array;
  readonly totalMemory: Float64Array;
  readonly nodeMemory: Float64Array;
  /** Memory that records do not explain, fixed at load; negative where less is used than recorded. */
  readonly missingMemory: Float64Array;
  readonly totalDisk: Float64Array;
  readonly totalCpu: Float64Array;
  readonly cpuSpeed: Float64Array;
  readonly spindles: Float64Array;
  readonly exclusive: Uint8Array;
  readonly lowDisk: Float64Array;
  readonly highSpindles: Float64Array;
  readonly vcpuRatio: number;

  readonly memory: Float64Array;
  readonly disk: Float64Array;
  readonly vcpus: Float64Array;
  readonly spindleUse: Float64Array;
  /** Disk spindles, NaN where unknown. */
  readonly diskSpindles: Float64Array;
  readonly flags: Uint8Array;
  readonly mirror: Uint8Array;
  /** instanceCount × 4. */
  readonly loads: Float64Array;
  /** Shared location tags and missed desired locations of each instance where it is now. */
  readonly locationScore: Float64Array;

  /** Exclusion tags of each instance as numbers, each once, with how often the instance has it. */
  readonly exclusionTags: readonly Int32Array[];
  readonly exclusionTimes: readonly Int32Array[];
  readonly exclusionTagCount: number;
  /** nodeCount × exclusionTagCount: how often a node's primaries have each. */
  readonly tagCounts: Int32Array;
  /** Of foreign nodes too, after the group's own: a mirror there can share them. */
  readonly locationTags: readonly Int32Array[];
  readonly desiredLocations: readonly Int32Array[];
  readonly locationTagCount: number;
  readonly hasLocations: boolean;
  /** (location tag, exclusion tag) → how many primaries on online nodes pair them; empty without location tags. */
  readonly pairCounts: Int32Array;
  /** nodeCount × nodeCount: 1 where migration tags let an instance go from row to column; empty: everywhere. */
  readonly migration: Uint8Array;

  /** The part of the reserved memory's score that no placement avoids. */
  readonly optimum: number;

  constructor(cluster: Cluster, options: GroupModelOptions) {
    this.cluster = cluster;
    const toLocal = new Int32Array(cluster.nodes.length).fill(-1);
    const nodes: ClusterNode[] = [];
    const nodeIndex: number[] = [];
    cluster.nodes.forEach((node, i) => {
      if (node.group !== options.group) return;
      toLocal[i] = nodes.length;
      nodes.push(node);
      nodeIndex.push(i);
    });
    const n = nodes.length;
    let columns = n;
    cluster.nodes.forEach((_node, i) => {
      if (toLocal[i]! < 0) toLocal[i] = columns++;
    });
    this.nodes = nodes;
    this.nodeIndex = Int32Array.from(nodeIndex);
    this.nodeCount = n;
    this.peerColumns = columns;
    this.rows = new Float64Array(n * ROW);
    this.peers = new Float64Array(n * columns);

    const policy = cluster.groupPolicies[options.group]!;
    this.vcpuRatio = options.maxCpuRatio ?? policy.vcpuRatio;
    this.online = Uint8Array.from(nodes, (node) =>
      node.offline || options.offline?.has(node.name) === true ? 0 : 1,
    );
    this.dead = Uint8Array.from(nodes, (node) => (node.offline && node.isUp !== true ? 1 : 0));
    this.onlineCount = this.online.reduce((sum, value) => sum + value, 0);
    this.totalMemory = Float64Array.from(nodes, (node) => node.totalMemory);
    this.nodeMemory = Float64Array.from(nodes, (node) => node.nodeMemory);
    this.totalDisk = Float64Array.from(nodes, (node) => node.totalDisk);
    this.totalCpu = Float64Array.from(nodes, (node) => node.totalCpu);
    this.cpuSpeed = Float64Array.from(nodes, (node) => node.cpuSpeed);
    this.spindles = Float64Array.from(nodes, (node) => node.spindles);
    this.exclusive = Uint8Array.from(nodes, (node) => (node.exclusiveStorage ? 1 : 0));
    this.lowDisk = Float64Array.from(nodes, (node) =>
      Math.floor((options.minDiskRatio ?? 0) * node.totalDisk),
    );
    this.highSpindles = Float64Array.from(nodes, (node) => policy.spindleRatio * node.spindles);

    const instances: ClusterInstance[] = [];
    const instanceIndex: number[] = [];
    const ownInstance = new Int32Array(cluster.instances.length).fill(-1);
    cluster.instances.forEach((instance, i) => {
      if (toLocal[instance.primary]! >= n) return;
      ownInstance[i] = instances.length;
      instances.push(instance);
      instanceIndex.push(i);
    });
    const m = instances.length;
    this.instances = instances;
    this.instanceIndex = Int32Array.from(instanceIndex);
    this.instanceCount = m;
    this.primary = Int32Array.from(instances, (instance) => toLocal[instance.primary]!);
    this.secondary = Int32Array.from(instances, (instance) =>
      instance.secondary < 0 ? -1 : toLocal[instance.secondary]!,
    );
    this.memory = Float64Array.from(instances, (instance) => instance.memory);
    this.disk = Float64Array.from(instances, (instance) => instance.disk);
    this.vcpus = Float64Array.from(instances, (instance) => instance.vcpus);
    this.spindleUse = Float64Array.from(instances, (instance) => instance.spindleUse);
    this.diskSpindles = Float64Array.from(instances, (instance) => instance.diskSpindles ?? NaN);
    this.flags = Uint8Array.from(instances, flagsOf);
    this.mirror = Uint8Array.from(instances, (instance) => {
      const mirror = mirrorOf(instance.template);
      return mirror === 'internal' ? MIRROR_INTERNAL : mirror === 'external' ? MIRROR_EXTERNAL : MIRROR_NONE;
    });
    this.loads = new Float64Array(m * 4);
    instances.forEach((instance, i) => this.loads.set(loadOf(instance, options), i * 4));

    const tags = new TagReader(cluster.tags, options.exclusionTags ?? []);
    this.exclusionTags = instances.map((instance) => tags.exclusion(instance.tags));
    this.exclusionTimes = instances.map((instance, i) =>
      tags.exclusionTimes(instance.tags, this.exclusionTags[i]!),
    );
    this.exclusionTagCount = tags.exclusionCount;
    this.tagCounts = new Int32Array(n * this.exclusionTagCount);
    const locationTags: Int32Array[] = [];
    cluster.nodes.forEach((node, i) => (locationTags[toLocal[i]!] = tags.location(node.tags)));
    this.locationTags = locationTags;
    this.desiredLocations = instances.map((instance) => tags.desired(instance.tags));
    this.locationTagCount = tags.locationCount;
    this.hasLocations =
      this.locationTags.some((list) => list.length > 0) ||
      this.desiredLocations.some((list) => list.length > 0);
    this.pairCounts = this.locationTags.some((list) => list.length > 0)
      ? new Int32Array(this.locationTagCount * this.exclusionTagCount)
      : NO_NUMBERS;
    this.migration = tags.migrationMatrix(nodes);
    this.locationScore = new Float64Array(m);
    for (let i = 0; i < m; i++)
      this.locationScore[i] = this.locationScoreAt(i, this.primary[i]!, this.secondary[i]!);

    this.missingMemory = new Float64Array(n);
    this.#load(toLocal, ownInstance, options);
    this.optimum = this.#optimum();
  }

  /**
   * Location tags that primary and secondary share, plus the instance's desired locations that the primary lacks.
   * `secondary` may be -1.
   */
  locationScoreAt(instance: number, primary: number, secondary: number): number {
    const here = this.locationTags[primary]!;
    const there = secondary < 0 ? NO_NUMBERS : this.locationTags[secondary]!;
    let score = 0;
    for (const tag of here) if (there.includes(tag)) score += 1;
    for (const tag of this.desiredLocations[instance]!) if (!here.includes(tag)) score += 1;
    return score;
  }

  /** True where the instance's memory, disks or CPU count in the field that `flag` names. */
  has(instance: number, flag: number): boolean {
    return (this.flags[instance]! & flag) !== 0;
  }

  /**
   * The group alone with its instances where they stand now, as `hbal -S` saves it: free disk follows the moves, free
   * memory does not.
   */
  currentGroup(): Cluster {
    const { cluster, nodeCount } = this;
    const position = new Int32Array(cluster.nodes.length).fill(-1);
    const nodes = this.nodes.map((node, k) => {
      position[this.nodeIndex[k]!] = k;
      const row = k * ROW;
      const offline = this.online[k] === 0;
      return {
        ...node,
        offline,
        freeDisk: this.rows[row + F_DSK]!,
        freeSpindles: this.rows[row + F_SPIN]!,
      };
    });
    const instances = this.instances.map((instance, i) => {
      const secondary = this.secondary[i]!;
      return {
        ...instance,
        primary: this.primary[i]!,
        secondary: secondary < nodeCount ? secondary : position[instance.secondary]!,
      };
    });
    return { ...cluster, nodes, instances };
  }

  isDead(node: number): boolean {
    return this.dead[node] === 1;
  }

  /** A copy that moves independently; constants are shared. O(nodes²) for the peers. */
  copy(): GroupModel {
    const twin = Object.create(GroupModel.prototype) as GroupModel;
    Object.assign(twin, this, {
      rows: this.rows.slice(),
      peers: this.peers.slice(),
      primary: this.primary.slice(),
      secondary: this.secondary.slice(),
      locationScore: this.locationScore.slice(),
      tagCounts: this.tagCounts.slice(),
      pairCounts: this.pairCounts.slice(),
    });
    return twin;
  }

  #load(toLocal: Int32Array, ownInstance: Int32Array, options: GroupModelOptions): void {
    const n = this.nodeCount;
    const instanceMemory = new Float64Array(n);
    const rows = this.rows;
    for (let k = 0; k < n; k++) {
      const node = this.nodes[k]!;
      const row = k * ROW;
      rows[row + F_MEM_FORTH] = node.freeMemory;
      rows[row + F_DSK] = node.freeDisk;
      rows[row + F_DSK_FORTH] = node.freeDisk;
      rows[row + F_SPIN] = node.freeSpindles;
      rows[row + F_SPIN_FORTH] = node.freeSpindles;
      rows[row + U_CPU] = node.nodeCpu;
      rows[row + U_CPU_FORTH] = node.nodeCpu;
    }
    // Instance by instance, primary and secondary, as hbal adds loads up. Secondaries of the whole cluster: a node may
    // mirror instances of another group.
    this.cluster.instances.forEach((instance, index) => {
      const own = ownInstance[index]!;
      if (own >= 0) this.#loadPrimary(own, instanceMemory);
      const s = instance.secondary < 0 ? n : toLocal[instance.secondary]!;
      if (s >= n) return;
      const flags = flagsOf(instance);
      if (own >= 0) this.#loadDisk(own, s, (flags & LOCAL_DISK) !== 0, instance.forthcoming);
      else this.#loadForeignDisk(instance, s, (flags & LOCAL_DISK) !== 0);
      if (instance.forthcoming) return;
      rows[s * ROW + SECONDARIES]! += 1;
      rows[s * ROW + LOAD_DSK]! += loadOf(instance, options)[2];
      if ((flags & RESERVES) !== 0)
        this.peers[s * this.peerColumns + toLocal[instance.primary]!]! += instance.memory;
    });
    for (let k = 0; k < n; k++) {
      const node = this.nodes[k]!;
      const row = k * ROW;
      const accounted = Math.trunc(node.totalMemory) - node.nodeMemory - instanceMemory[k]!;
      this.missingMemory[k] = accounted - node.freeMemory;
      rows[row + U_MEM] = accounted - Math.max(0, this.missingMemory[k]!);
      rows[row + R_MEM] = largest(this.peers, k * this.peerColumns, this.peerColumns);
      const fails =
        options.loadRule === '3.1'
          ? rows[row + U_MEM]! <= rows[row + R_MEM]!
          : node.freeMemory < rows[row + R_MEM]!;
      rows[row + FAILS_N1] = fails ? 1 : 0;
      rows[row + TAG_SCORE] = this.#tagScore(k);
    }
  }

  /** What an instance is worth to its primary's row; its memory goes to `instanceMemory`. */
  #loadPrimary(i: number, instanceMemory: Float64Array): void {
    const { rows } = this;
    const k = this.primary[i]!;
    const row = k * ROW;
    const forthcoming = this.has(i, FORTHCOMING);
    if (this.has(i, USES_MEMORY)) instanceMemory[k]! += this.memory[i]!;
    else rows[row + F_MEM_FORTH]! -= this.memory[i]!;
    if (this.has(i, COUNTS_CPU)) {
      rows[row + U_CPU_FORTH]! += this.vcpus[i]!;
      if (!forthcoming) rows[row + U_CPU]! += this.vcpus[i]!;
    }
    this.#loadDisk(i, k, this.has(i, LOCAL_DISK), forthcoming);
    const tags = this.exclusionTags[i]!;
    for (let t = 0; t < tags.length; t++)
      this.tagCounts[k * this.exclusionTagCount + tags[t]!]! += this.exclusionTimes[i]![t]!;
    if (forthcoming) return;
    rows[row + PRIMARIES]! += 1;
    for (let c = 0; c < 4; c++) rows[row + LOAD_CPU + c]! += this.loads[i * 4 + c]!;
    rows[row + LOCATION_SCORE]! += this.locationScore[i]!;
    if (this.pairCounts.length > 0 && this.online[k] === 1) this.countPairs(i, k, 1);
  }

  /** Spindles of an instance on one of its nodes; disk and free spindles are already off the node's free figures. */
  #loadDisk(i: number, k: number, local: boolean, forthcoming: boolean): void {
    const row = k * ROW;
    if (local && this.exclusive[k] === 0) {
      this.rows[row + I_SPIN_FORTH]! += this.spindleUse[i]!;
      if (!forthcoming) this.rows[row + I_SPIN]! += this.spindleUse[i]!;
    }
    if (!forthcoming) return;
    if (local) this.rows[row + F_DSK_FORTH]! -= this.disk[i]!;
    if (this.exclusive[k] === 1) {
      const spindles = this.diskSpindles[i]!;
      this.rows[row + F_SPIN_FORTH] = Number.isNaN(spindles) ? -1 : this.rows[row + F_SPIN_FORTH]! - spindles;
    }
  }

  #loadForeignDisk(instance: ClusterInstance, k: number, local: boolean): void {
    const row = k * ROW;
    if (local && this.exclusive[k] === 0) {
      this.rows[row + I_SPIN_FORTH]! += instance.spindleUse;
      if (!instance.forthcoming) this.rows[row + I_SPIN]! += instance.spindleUse;
    }
    if (local && instance.forthcoming) {
      this.rows[row + F_DSK_FORTH]! -= instance.disk;
      if (this.exclusive[k] === 1) this.rows[row + F_SPIN_FORTH]! -= instance.diskSpindles ?? 0;
    }
  }

  /** Adds (or with -1 takes away) the pairs of location and exclusion tags that the instance makes on a node. */
  countPairs(instance: number, node: number, sign: 1 | -1): void {
    const tags = this.exclusionTags[instance]!;
    const times = this.exclusionTimes[instance]!;
    for (const location of this.locationTags[node]!)
      for (let t = 0; t < tags.length; t++)
        this.pairCounts[location * this.exclusionTagCount + tags[t]!]! += sign * times[t]!;
  }

  #tagScore(k: number): number {
    let score = 0;
    for (let t = 0; t < this.exclusionTagCount; t++) {
      const times = this.tagCounts[k * this.exclusionTagCount + t]!;
      if (times > 0) score += times - 1;
    }
    return score;
  }

  #optimum(): number {
    let total = 0;
    let most = -Infinity;
    let reserved = 0;
    for (let k = 0; k < this.nodeCount; k++) {
      total += this.totalMemory[k]!;
      most = Math.max(most, this.totalMemory[k]!);
    }
    for (const need of this.peers) reserved += need;
    if (this.nodeCount < 2 || total === most) return 0;
    return 0.25 * reserved * (1 / (total - most) - 1 / total);
  }
}

const loadOf = ({ name }: ClusterInstance, { ignoreLoads, loads }: GroupModelOptions): Load =>
  ignoreLoads === true ? NO_LOAD : (loads?.get(name) ?? UNKNOWN_LOAD);

const largest = (values: Float64Array, from: number, count: number): number => {
  let most = 0;
  for (let i = from; i < from + count; i++) if (values[i]! > most) most = values[i]!;
  return most;
};

function flagsOf(instance: ClusterInstance): number {
  const offline = instance.status === 'ADMIN_offline';
  return (
    (usesMemory(instance) ? USES_MEMORY : 0) |
    (offline ? 0 : COUNTS_CPU) |
    (usesLocalDisk(instance.template) ? LOCAL_DISK : 0) |
    (instance.autoBalance && !offline ? RESERVES : 0) |
    (instance.forthcoming ? FORTHCOMING : 0) |
    (isRunning(instance) ? RUNNING : 0)
  );
}

const EXCLUSION_TAG = 'htools:iextags:';
const LOCATION_TAG = 'htools:nlocation:';
const DESIRED_LOCATION_TAG = 'htools:desiredlocation:';
const MIGRATION_TAG = 'htools:migration:';
const ALLOW_MIGRATION_TAG = 'htools:allowmigration:';

/** What cluster tags make of node and instance tags. Location and migration prefixes get a colon, the others none. */
class TagReader {
  readonly #exclusionPrefixes: string[];
  readonly #locationPrefixes: string[];
  readonly #desiredPrefixes: string[];
  readonly #migrationPrefixes: string[];
  readonly #allowed: { from: string; to: string }[];
  readonly #exclusionNumbers = new Map<string, number>();
  readonly #locationNumbers = new Map<string, number>();

  constructor(clusterTags: readonly string[], exclusionTags: readonly string[]) {
    const after = (prefix: string): string[] =>
      clusterTags.filter((tag) => tag.startsWith(prefix)).map((tag) => tag.slice(prefix.length));
    this.#exclusionPrefixes = [
      ...after(EXCLUSION_TAG).filter((prefix) => prefix !== ''),
      ...exclusionTags.map((tag) => `${tag}:`),
    ];
    this.#locationPrefixes = after(LOCATION_TAG).map((prefix) => `${prefix}:`);
    this.#desiredPrefixes = after(DESIRED_LOCATION_TAG);
    this.#migrationPrefixes = after(MIGRATION_TAG).map((prefix) => `${prefix}:`);
    this.#allowed = after(ALLOW_MIGRATION_TAG).flatMap((text) => {
      const parts = text.split('::');
      const [from, to] = parts;
      return parts.length === 2 && from !== undefined && to !== undefined ? [{ from, to }] : [];
    });
  }

  get exclusionCount(): number {
    return this.#exclusionNumbers.size;
  }

  get locationCount(): number {
    return this.#locationNumbers.size;
  }

  exclusion(tags: readonly string[]): Int32Array {
    return numbered(withPrefix(tags, this.#exclusionPrefixes), this.#exclusionNumbers);
  }

  exclusionTimes(tags: readonly string[], numbers: Int32Array): Int32Array {
    const all = withPrefix(tags, this.#exclusionPrefixes).map((tag) => this.#exclusionNumbers.get(tag)!);
    return Int32Array.from(numbers, (number) => all.filter((other) => other === number).length);
  }

  location(tags: readonly string[]): Int32Array {
    return numbered(withPrefix(tags, this.#locationPrefixes), this.#locationNumbers);
  }

  desired(tags: readonly string[]): Int32Array {
    return numbered(withPrefix(tags, this.#desiredPrefixes), this.#locationNumbers);
  }

  /** Empty when no node carries a migration tag, for then everything may go everywhere. */
  migrationMatrix(nodes: readonly ClusterNode[]): Uint8Array {
    const own = nodes.map((node) => withPrefix(node.tags, this.#migrationPrefixes));
    if (own.every((list) => list.length === 0)) return new Uint8Array(0);
    const received = own.map(
      (list) =>
        new Set([...list, ...this.#allowed.filter(({ to }) => list.includes(to)).map(({ from }) => from)]),
    );
    const matrix = new Uint8Array(nodes.length * nodes.length);
    own.forEach((needed, from) => {
      received.forEach((got, to) => {
        matrix[from * nodes.length + to] = needed.every((tag) => got.has(tag)) ? 1 : 0;
      });
    });
    return matrix;
  }
}

const withPrefix = (tags: readonly string[], prefixes: readonly string[]): string[] =>
  tags.filter((tag) => prefixes.some((prefix) => tag.startsWith(prefix)));

function numbered(tags: readonly string[], numbers: Map<string, number>): Int32Array {
  const unique = [...new Set(tags)];
  for (const tag of unique) if (!numbers.has(tag)) numbers.set(tag, numbers.size);
  return Int32Array.from(unique, (tag) => numbers.get(tag)!);
}
