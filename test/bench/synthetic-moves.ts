/**
 * SYNTHETIC moves, made up: nothing here was measured, and no figure on them says how good a model is on real machines.
 * They serve two marks whose published counterparts were reached on simulations too.
 *
 * The truth comes from a simulator of its own, which shares no code and no formula with the predictor: memory is a
 * thousand regions with write rates of their own, how much a guest writes wanders from second to second, hosts differ in
 * speed, links breathe, and a move copies round by round in steps of half a second.
 */
import type { MoveRecord } from '../../src/domain/move-record.js';
import { seededRandom } from '../../training/seeded-random.js';

export interface SyntheticOptions {
  moves: number;
  seed: number;
  nodes: number;
  /** Standard deviation of the speeds of the nodes (log scale). */
  nodeSpread: number;
  /** Nominal speed of the nodes' links, in turn. */
  linksMbps: readonly number[];
  instances: number;
  /** Configured memory of the instances, in turn. */
  memoriesMib: readonly number[];
  /** Whether records tell what was measured before the start: touched memory and dirty rate. */
  measured: boolean;
}

/** What a probe of a minute before the start would have seen, for the method that needs one. */
export interface Probe {
  memoryMib: number;
  usedMib: number;
  /** Different memory dirtied within a second, the mean over a minute, and within the whole minute. */
  dirtyMibS: number;
  workingSetMib: number;
  /** Mean of what the pair of nodes carries. */
  bandwidthMibS: number;
}

/** Durations in seconds as the simulator itself would tell them, without its noise: nothing of this is in a record. */
export interface Oracle {
  /** Knows the guest's regions with their mean rates, the memory in use and the speed of the pair. */
  meanRates: number;
  /** Knows as well how much the guest wrote in the minute before. */
  lastMinute: number;
  /** As `lastMinute`, but of the source (of the target) only the median speed of all nodes and its link. */
  unseenSource: number;
  unseenTarget: number;
}

export interface SyntheticMoves {
  records: MoveRecord[];
  /** By the id of the record. */
  oracles: Map<string, Oracle>;
  /** By the id of the record. */
  probes: Map<string, Probe>;
}

const MEDIAN_NODE_MIB_S = 620;
const REGIONS = 1024;
const PROBE_SECONDS = 60;
const STEP_SECONDS = 0.5;
const MOST_ROUNDS = 30;
/** A hypervisor gives up copying ahead when so many times the memory was sent. */
const MOST_COPIES = 3;
export const DOWNTIME_LIMIT_SECONDS = 0.3;
/** Of a link's nominal speed this share carries memory. */
const LINK_SHARE = 0.94;
const MEAN_GAP_SECONDS = 900;

/** How much a guest writes wanders on the log scale: so far from its mean, with a memory of so many seconds. */
const WANDER = 0.3;
const WANDER_SECONDS = 600;
/** Episodes: a guest writes this many times more, for a while, once in so many seconds. */
const EPISODE_EVERY_SECONDS = 3000;
const EPISODE_SECONDS = 25;
const EPISODE_FACTOR = 2.2;
/** What a stream carries varies from step to step, and by the hour. */
const STREAM_NOISE = 0.08;
const HOUR_NOISE = 0.02;

class Dice {
  private readonly uniform: () => number;
  constructor(seed: number) {
    this.uniform = seededRandom(seed);
  }
  below(n: number): number {
    return Math.floor(n * this.uniform());
  }
  between(low: number, high: number): number {
    return low + (high - low) * this.uniform();
  }
  chance(p: number): boolean {
    return this.uniform() < p;
  }
  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.uniform())) * Math.cos(2 * Math.PI * this.uniform());
  }
  exponential(mean: number): number {
    return -mean * Math.log(1 - this.uniform());
  }
}

interface Node {
  linkMbps: number;
  sendMibS: number;
  receiveMibS: number;
}

/** A guest: its regions, how much it writes now, and where it runs. */
class Guest {
  readonly rates = new Float64Array(REGIONS);
  readonly touched: number;
  private level = 0;
  private episodeLeft = 0;
  private used: number;

  constructor(
    readonly name: string,
    readonly memoryMib: number,
    readonly vcpus: number,
    public node: number,
    private readonly dice: Dice,
  ) {
    this.touched = dice.between(0.45, 0.95);
    this.used = this.touched;
    // Writes a second and page of a region: few regions take most of them, as a power law has it.
    const skew = dice.between(1.22, 1.38);
    const busiest = Math.exp(dice.between(2, 2.5));
    for (let r = 0; r < REGIONS; r++) this.rates[r] = busiest * (r + 1) ** -skew;
    this.level = WANDER * dice.normal();
  }

  get usedMib(): number {
    return this.memoryMib * this.used;
  }

  /** Time goes by without anyone looking. */
  pass(seconds: number): void {
    const kept = Math.exp(-seconds / WANDER_SECONDS);
    this.level = this.level * kept + WANDER * Math.sqrt(1 - kept * kept) * this.dice.normal();
    this.episodeLeft = Math.max(0, this.episodeLeft - seconds);
    this.used += 0.02 * (this.touched - this.used) + 0.006 * this.dice.normal();
    this.used = Math.min(1, Math.max(0.2, this.used));
  }

  /** Writes of `seconds` (a step or less), in units of the guest's mean second. */
  step(seconds: number): number {
    const kept = Math.exp(-seconds / WANDER_SECONDS);
    this.level = this.level * kept + WANDER * Math.sqrt(1 - kept * kept) * this.dice.normal();
    if (this.episodeLeft <= 0 && this.dice.chance(seconds / EPISODE_EVERY_SECONDS))
      this.episodeLeft = this.dice.exponential(EPISODE_SECONDS);
    const factor = this.episodeLeft > 0 ? EPISODE_FACTOR : 1;
    this.episodeLeft -= seconds;
    return seconds * factor * Math.exp(this.level);
  }

  /** Different memory that `writes` of the mean second's kind make dirty, in MiB. O(regions). */
  dirtiedMib(writes: number): number {
    let share = 0;
    for (const rate of this.rates) share -= Math.expm1(-rate * writes);
    return (this.usedMib * share) / REGIONS;
  }
}

/** The same options give the same moves. O(moves · rounds · regions). */
export function syntheticMoves(options: SyntheticOptions): SyntheticMoves {
  const dice = new Dice(options.seed);
  const nodes = Array.from({ length: options.nodes }, (_, i): Node => {
    const speed = MEDIAN_NODE_MIB_S * Math.exp(options.nodeSpread * dice.normal());
    const linkMbps = options.linksMbps[i % options.linksMbps.length]!;
    return {
      linkMbps,
      sendMibS: speed,
      receiveMibS: speed * Math.exp((options.nodeSpread / 3) * dice.normal()),
    };
  });
  const guests = Array.from({ length: options.instances }, (_, i) => {
    const memory = options.memoriesMib[i % options.memoriesMib.length]!;
    return new Guest(`vm${i}`, memory, 2 ** dice.below(4), dice.below(options.nodes), dice);
  });
  const records: MoveRecord[] = [];
  const probes = new Map<string, Probe>();
  const oracles = new Map<string, Oracle>();
  let seconds = Date.UTC(2026, 0, 1) / 1000;
  const lastSeen = new Float64Array(options.instances).fill(seconds);
  for (let m = 0; m < options.moves; m++) {
    seconds += 30 + dice.exponential(MEAN_GAP_SECONDS);
    const g = dice.below(options.instances);
    const guest = guests[g]!;
    guest.pass(Math.max(0, seconds - PROBE_SECONDS - lastSeen[g]!));
    const target = (guest.node + 1 + dice.below(options.nodes - 1)) % options.nodes;
    const [from, to] = [nodes[guest.node]!, nodes[target]!];
    const linkMbps = Math.min(from.linkMbps, to.linkMbps);
    const linkMibS = (LINK_SHARE * linkMbps * 1e6) / 8 / 2 ** 20;
    const pairMibS = Math.min(linkMibS, from.sendMibS, to.receiveMibS);
    let writesInMinute = 0;
    let writesInSecond = 0;
    for (let t = 0; t < PROBE_SECONDS; t += STEP_SECONDS) {
      const writes = guest.step(STEP_SECONDS);
      writesInMinute += writes;
      if (t >= PROBE_SECONDS - 1) writesInSecond += writes;
    }
    const id = `synthetic-${m}`;
    const inSecondMib = guest.dirtiedMib(writesInSecond);
    probes.set(id, {
      memoryMib: guest.memoryMib,
      usedMib: guest.usedMib,
      dirtyMibS: guest.dirtiedMib(writesInMinute / PROBE_SECONDS),
      workingSetMib: guest.dirtiedMib(writesInMinute),
      bandwidthMibS: pairMibS,
    });
    const level = writesInMinute / PROBE_SECONDS;
    const median = MEDIAN_NODE_MIB_S;
    oracles.set(id, {
      meanRates: noiselessSeconds(guest, pairMibS, 1),
      lastMinute: noiselessSeconds(guest, pairMibS, level),
      unseenSource: noiselessSeconds(guest, Math.min(linkMibS, median, to.receiveMibS), level),
      unseenTarget: noiselessSeconds(guest, Math.min(linkMibS, from.sendMibS, median), level),
    });
    const move = copy(guest, pairMibS, dice);
    records.push({
      id,
      origin: 'synthetic',
      cluster: 'synthetic',
      instance: guest.name,
      source_node: `host${guest.node}`,
      target_node: `host${target}`,
      operation: 'live_migration',
      started_at: new Date(Math.round(seconds * 1000)).toISOString(),
      duration_seconds: move.seconds,
      memory_mib: guest.memoryMib,
      vcpus: guest.vcpus,
      link_mbps: linkMbps,
      concurrent_moves: 0,
      downtime_ms: 1000 * move.downtimeSeconds,
      transferred_mib: move.sentMib,
      ...(options.measured
        ? {
            used_memory_mib: Math.round(guest.usedMib),
            dirty_rate_mib_s: Math.round(inSecondMib * Math.exp(0.05 * dice.normal())),
          }
        : {}),
    });
    guest.node = target;
    seconds += move.seconds;
    lastSeen[g] = seconds;
  }
  return { records, oracles, probes };
}

/** Copies a guest round by round until the rest fits the downtime. */
function copy(
  guest: Guest,
  pairMibS: number,
  dice: Dice,
): { seconds: number; downtimeSeconds: number; sentMib: number } {
  const hourly = Math.exp(HOUR_NOISE * dice.normal());
  let noise = STREAM_NOISE * dice.normal();
  const streamMibS = (): number => {
    noise = 0.7 * noise + STREAM_NOISE * Math.sqrt(1 - 0.49) * dice.normal();
    return pairMibS * hourly * Math.exp(noise);
  };
  let seconds = 1.2 + 0.1 * Math.abs(dice.normal());
  let volume = guest.usedMib;
  let sentMib = 0;
  let rate = streamMibS();
  for (let round = 0; round < MOST_ROUNDS && sentMib < MOST_COPIES * guest.memoryMib; round++) {
    let left = volume;
    let writes = 0;
    while (left > 0) {
      rate = streamMibS();
      const step = Math.min(STEP_SECONDS, left / rate);
      left -= step * rate;
      seconds += step;
      writes += guest.step(step);
      if (left < 1e-9) left = 0;
    }
    sentMib += volume;
    volume = guest.dirtiedMib(writes);
    if (volume <= DOWNTIME_LIMIT_SECONDS * rate) break;
  }
  const downtimeSeconds = volume / rate + 0.02;
  return { seconds: seconds + downtimeSeconds, downtimeSeconds, sentMib: sentMib + volume };
}

/** The same rounds as `copy`, at one speed and one level of writing. Throws no dice: the moves stay what they are. */
function noiselessSeconds(guest: Guest, pairMibS: number, writesPerSecond: number): number {
  let seconds = 1.28;
  let volume = guest.usedMib;
  let sentMib = 0;
  for (let round = 0; round < MOST_ROUNDS && sentMib < MOST_COPIES * guest.memoryMib; round++) {
    const t = volume / pairMibS;
    seconds += t;
    sentMib += volume;
    volume = guest.dirtiedMib(writesPerSecond * t);
    if (volume <= DOWNTIME_LIMIT_SECONDS * pairMibS) break;
  }
  return seconds + volume / pairMibS + 0.02;
}

/**
 * The classical way: rounds played with what a probe of a minute before the start saw, its dirty rate (mean of different
 * memory dirtied in a second) up to its working set (what the minute dirtied). Knows the true speed of the pair and when
 * the hypervisor gives up, which no history has to tell it.
 */
export function probedSeconds({
  memoryMib,
  usedMib,
  dirtyMibS,
  workingSetMib,
  bandwidthMibS,
}: Probe): number {
  let seconds = 1.28;
  let volume = usedMib;
  let sentMib = 0;
  for (let round = 0; round < MOST_ROUNDS && sentMib < MOST_COPIES * memoryMib; round++) {
    const t = volume / bandwidthMibS;
    seconds += t;
    sentMib += volume;
    volume = Math.min(workingSetMib, dirtyMibS * t);
    if (volume <= DOWNTIME_LIMIT_SECONDS * bandwidthMibS) break;
  }
  return seconds + volume / bandwidthMibS + 0.02;
}
