import type { MoveRecord } from '../domain/move-record.js';
import { mbpsToMibPerSecond } from '../domain/units.js';
import { Capability, type MoveInputs } from './move-inputs.js';
import { newPrecopyResult, precopy, type PrecopyInputs, type PrecopyResult } from './precopy.js';

// Bound once: a lookup through the global object costs more than the function itself where it is not inlined.
const { exp, max, min, pow } = Math;

/**
 * The constants of the physics, fitted to history. `prior` is what stands where nothing was measured, `spread` the
 * standard deviation of its logarithm: how far a fit may leave it, `without` what a model stands for that was made before
 * the constant was known.
 */
export const physicsConstants = {
  setupSeconds: { prior: 1.5, spread: 1.5, meaning: 'fixed part of a live migration' },
  hostMibS: { prior: 300, spread: 1.5, meaning: 'what the hosts can push through one stream' },
  tunnelledMibS: { prior: 150, spread: 1.5, meaning: 'the same through the tunnel of libvirt' },
  multifdGain: {
    prior: 1.4,
    spread: 0.3,
    meaning:
      'how much more the hosts push through several streams, at most as many times as there are channels',
  },
  xbzrleSaving: {
    prior: 0.5,
    spread: 0.5,
    without: 0,
    meaning: 'share of a page sent again that xbzrle saves where the page is in its cache',
  },
  compressedShare: {
    prior: 0.5,
    spread: 0.4,
    without: 1,
    meaning: 'size of the stream with compression over that without',
  },
  compressorMibS: {
    prior: 150,
    spread: 1,
    without: 1e6,
    meaning: 'guest memory that the hosts can compress in a second',
  },
  linkShare: { prior: 0.93, spread: 0.05, meaning: 'share of the nominal link that carries payload' },
  leastShare: { prior: 0.5, spread: 0.4, meaning: 'share of the link that a move gets against any traffic' },
  backgroundShare: {
    prior: 0.85,
    spread: 0.3,
    meaning: 'share of the measured traffic that goes on beside it',
  },
  targetWeight: {
    prior: 0.5,
    spread: 0.5,
    without: 0,
    meaning: 'how much the traffic at the target counts against that at the source',
  },
  sharing: { prior: 0.5, spread: 0.7, meaning: 'slow-down by another move: rate/(1 + this × others)' },
  loadShare: { prior: 0.5, spread: 0.7, meaning: 'how much of the rate a fully loaded host takes away' },
  capShare: { prior: 1.05, spread: 0.1, meaning: 'rate reached under a configured cap, as a share of it' },
  looseCap: { prior: 1.6, spread: 0.3, meaning: 'by how much multifd and post-copy exceed the cap' },
  usedShare: { prior: 0.75, spread: 0.3, meaning: 'touched share of the memory where it was not measured' },
  sentShare: { prior: 0.93, spread: 0.1, meaning: 'share of the touched memory that is not zero' },
  dirtyShare: { prior: 1, spread: 0.7, meaning: 'true dirty rate over the measured one' },
  dirtyPriorMibS: { prior: 5, spread: 1.5, meaning: 'dirty rate where it was not measured' },
  workingSetShare: { prior: 0.4, spread: 0.5, meaning: 'share of the touched memory that is dirtied again' },
  limitSharpness: {
    prior: 4,
    spread: 0.4,
    without: 3,
    meaning: 'how nearly the least of link, hosts and cap alone decides the rate: the power k of limitTerm',
  },
  diskMibS: { prior: 120, spread: 1.5, meaning: 'rate at which a disk is copied or resynchronised' },
  diskSetupSeconds: { prior: 3, spread: 1, meaning: 'fixed part of a disk replication' },
  failoverSeconds: { prior: 30, spread: 1, meaning: 'shutting down and starting elsewhere' },
} as const;

export type ConstantName = keyof typeof physicsConstants;
export type PhysicsConstants = Record<ConstantName, number>;
export const constantNames = Object.keys(physicsConstants) as ConstantName[];

export const priorConstants = (): PhysicsConstants =>
  Object.fromEntries(constantNames.map((name) => [name, physicsConstants[name].prior])) as PhysicsConstants;

/** Where neither the request nor history says: the most common case in the field. */
export const DEFAULT_MEMORY_MIB = 4096;
export const DEFAULT_DISK_MIB = 20_480;
export const DEFAULT_LINK_MBPS = 1000;
/** QEMU's default downtime limit. */
export const DEFAULT_DOWNTIME_LIMIT_MS = 300;
/** QEMU's default number of multifd channels. */
const DEFAULT_MULTIFD_CHANNELS = 2;
/** QEMU's default cache of pages already sent, of which xbzrle sends only what changed. */
const XBZRLE_CACHE_MIB = 64;
/** Every 4096-byte page travels with an 8-byte header. */
const PAGE_OVERHEAD = (4096 + 8) / 4096;
/**
 * Link, source, target and cap limit a stream together, not the smallest alone: B = (Σ limit^−k)^(−1/k). A large k comes near
 * to the minimum; how large it is, is fitted.
 */
const limitTerm = (limitMibS: number, sharpness: number): number => pow(limitMibS, -sharpness);
const LEAST_BANDWIDTH_MIB_S = 0.05;
/** Nothing is faster than the manager's own bookkeeping. */
const SHORTEST_SECONDS = 0.01;

/** A stream to be filled by `movePhysics`. */
export const newStream = (): PrecopyInputs => ({
  volumeMib: 0,
  bandwidthMibS: 1,
  dirtyMibS: 0,
  workingSetMib: 0,
  downtimeLimitSeconds: 0.3,
  autoConverge: false,
  postcopy: false,
});
const scratchStream = newStream();

export const newPhysicsResult = (): PrecopyResult => newPrecopyResult();

/**
 * Duration of a move by physics alone, in seconds, with transferred MiB and downtime. `inputs` may hold NaN: then
 * the constants say. `volumeFactor` is what past moves of the instance sent, over what physics expected; `stream` is left with what a live migration is
 * expected to send and how fast. Rises with memory, disk and dirty rate, falls with bandwidth.
 */
export function movePhysics(
  inputs: MoveInputs,
  constants: PhysicsConstants,
  result: PrecopyResult,
  volumeFactor = 1,
  stream: PrecopyInputs = scratchStream,
): PrecopyResult {
  const memoryMib = known(inputs.memoryMib, known(inputs.usedMemoryMib, DEFAULT_MEMORY_MIB));
  const others = known(inputs.besideMoves, known(inputs.concurrentMoves, 0));
  const share = 1 / (1 + constants.sharing * others);
  const linkMbps = inputs.linkMbps > 0 ? inputs.linkMbps : DEFAULT_LINK_MBPS;
  const linkMibS = mbpsToMibPerSecond(linkMbps) * constants.linkShare;
  // Traffic that comes from the target goes there too: answers and acknowledgements.
  const sourceMbps = known(inputs.backgroundMbps, 0);
  const targetMbps = known(inputs.targetBackgroundMbps, sourceMbps);
  const backgroundMibS =
    mbpsToMibPerSecond(sourceMbps + constants.targetWeight * (targetMbps - sourceMbps)) *
    constants.backgroundShare;
  const freeMibS = max(
    LEAST_BANDWIDTH_MIB_S,
    linkMibS * min(1, constants.leastShare),
    linkMibS - backgroundMibS,
  );
  result.sourceLimits = 0;
  result.targetLimits = 0;
  if (inputs.operation === 'failover') {
    const diskMib = known(inputs.diskMib, 0);
    result.seconds = constants.failoverSeconds + diskMib / min(constants.diskMibS, freeMibS) / share;
    result.transferredMib = diskMib;
    result.downtimeSeconds = result.seconds;
    result.rounds = 0;
    result.converged = true;
    return result;
  }
  if (inputs.operation === 'disk_replication') {
    const diskMib = known(inputs.diskMib, DEFAULT_DISK_MIB);
    result.seconds = constants.diskSetupSeconds + diskMib / min(constants.diskMibS, freeMibS) / share;
    result.transferredMib = diskMib;
    result.downtimeSeconds = 0;
    result.rounds = 0;
    result.converged = true;
    return result;
  }
  const { capabilities } = inputs;
  const isMultifd = (capabilities & Capability.multifd) !== 0;
  const load = min(1, known(inputs.cpuLoad, 0));
  const isCompressed = (capabilities & Capability.compress) !== 0;
  const wireShare = isCompressed ? min(1, constants.compressedShare) : 1;
  const cpuShare = 1 - min(0.95, constants.loadShare * load);
  const hostMibS =
    ((capabilities & Capability.tunnelled) !== 0 ? constants.tunnelledMibS : constants.hostMibS) *
    (isMultifd ? min(known(inputs.channels, DEFAULT_MULTIFD_CHANNELS), constants.multifdGain) : 1) *
    cpuShare;
  const sharpness = constants.limitSharpness;
  // The hosts' rate is that of two nodes of median speed.
  const hostTerm = limitTerm(hostMibS * share, sharpness) / 2;
  const sourceTerm = hostTerm * exp(-sharpness * known(inputs.sourceSpeed, 0));
  const targetTerm = hostTerm * exp(-sharpness * known(inputs.targetSpeed, 0));
  let terms = limitTerm(freeMibS * share, sharpness) + sourceTerm + targetTerm;
  if (isCompressed) terms += limitTerm(constants.compressorMibS * wireShare * cpuShare * share, sharpness);
  if (inputs.capMibS > 0) {
    const isLoose = isMultifd || (capabilities & Capability.postcopy) !== 0;
    terms += limitTerm(inputs.capMibS * constants.capShare * (isLoose ? constants.looseCap : 1), sharpness);
  }
  const bandwidthMibS = max(LEAST_BANDWIDTH_MIB_S, pow(terms, -1 / sharpness));
  result.sourceLimits = sourceTerm / terms;
  result.targetLimits = targetTerm / terms;
  const usedMib = min(memoryMib, known(inputs.usedMemoryMib, memoryMib * constants.usedShare));
  const pre = stream;
  const sentMib = min(memoryMib, usedMib * constants.sentShare * volumeFactor);
  pre.volumeMib = (sentMib * PAGE_OVERHEAD + (memoryMib - sentMib) * (8 / 4096)) * wireShare;
  pre.bandwidthMibS = bandwidthMibS;
  const workingSetMib = sentMib * constants.workingSetShare;
  let againShare = wireShare;
  if ((capabilities & Capability.xbzrle) !== 0)
    againShare *= 1 - min(1, constants.xbzrleSaving) * min(1, XBZRLE_CACHE_MIB / workingSetMib);
  pre.dirtyMibS = known(inputs.dirtyMibS, constants.dirtyPriorMibS) * constants.dirtyShare * againShare;
  pre.workingSetMib = workingSetMib * againShare;
  pre.downtimeLimitSeconds = known(inputs.downtimeLimitMs, DEFAULT_DOWNTIME_LIMIT_MS) / 1000;
  pre.autoConverge = (inputs.capabilities & Capability.autoConverge) !== 0;
  pre.postcopy = (inputs.capabilities & Capability.postcopy) !== 0;
  precopy(pre, result);
  const diskMib = known(inputs.diskMib, 0);
  const diskSeconds = diskMib / min(constants.diskMibS, freeMibS) / share;
  result.seconds = max(SHORTEST_SECONDS, constants.setupSeconds + result.seconds + diskSeconds);
  result.transferredMib += diskMib;
  return result;
}

/**
 * The duration of the move had it sent `sentMib` in all, as the record of a finished move says, and all else gone as
 * physics has it: tells how fast the stream was from how much there was to send. `result` as `movePhysics` left it.
 */
export const secondsWhenSent = (result: PrecopyResult, sentMib: number): number =>
  max(SHORTEST_SECONDS, result.seconds + (sentMib - result.transferredMib) / result.bandwidthMibS);

/** d log T by the logarithm of the bandwidth, at what is sent. `result` as `movePhysics` left it, T = `seconds`. */
export const bandwidthSlope = (result: PrecopyResult, sentMib: number, seconds: number): number =>
  -sentMib / result.bandwidthMibS / seconds;

/** MiB that a live migration sent; NaN where its record does not say, or does not count what the channels of multifd send. */
export const sentOf = (record: MoveRecord, inputs: MoveInputs): number =>
  record.transferred_mib !== undefined &&
  record.transferred_mib > 0 &&
  inputs.operation === 'live_migration' &&
  (inputs.capabilities & Capability.multifd) === 0
    ? record.transferred_mib
    : NaN;

/** NaN-safe default: `value` unless it is not known. */
function known(value: number, otherwise: number): number {
  return value === value ? value : otherwise;
}
