import { mbpsToMibPerSecond } from '../domain/units.js';
import { Capability, type MoveInputs } from './move-inputs.js';
import { newPrecopyResult, precopy, type PrecopyInputs, type PrecopyResult } from './precopy.js';

// Bound once: a lookup through the global object costs more than the function itself where it is not inlined.
const { max, min } = Math;

/**
 * The constants of the physics, fitted to history. `prior` is what stands where nothing was measured, `spread` the
 * standard deviation of its logarithm: how far a fit may leave it.
 */
export const physicsConstants = {
  setupSeconds: { prior: 2, spread: 1.2, meaning: 'fixed part of a live migration' },
  hostMibS: { prior: 300, spread: 1.5, meaning: 'what the hosts can push through one stream' },
  tunnelledMibS: { prior: 150, spread: 1.5, meaning: 'the same through the tunnel of libvirt' },
  linkShare: { prior: 0.92, spread: 0.1, meaning: 'share of the nominal link that carries payload' },
  usedShare: { prior: 0.75, spread: 0.3, meaning: 'touched share of the memory where it was not measured' },
  dirtyShare: { prior: 1, spread: 0.7, meaning: 'true dirty rate over the measured one' },
  dirtyPriorMibS: { prior: 5, spread: 1.5, meaning: 'dirty rate where it was not measured' },
  workingSetShare: { prior: 0.4, spread: 0.5, meaning: 'share of the touched memory that is dirtied again' },
  diskMibS: { prior: 120, spread: 1, meaning: 'rate at which a disk is copied or resynchronised' },
  diskSetupSeconds: { prior: 3, spread: 1, meaning: 'fixed part of a disk replication' },
  failoverSeconds: { prior: 30, spread: 1, meaning: 'shutting down and starting elsewhere' },
  loadShare: { prior: 0.5, spread: 0.7, meaning: 'how much of the rate a fully loaded host takes away' },
  sharing: { prior: 0.6, spread: 0.5, meaning: 'slow-down a concurrent move: rate/(1 + this × others)' },
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
const DEFAULT_DOWNTIME_LIMIT_MS = 300;
/** Every 4096-byte page travels with an 8-byte header. */
const PAGE_OVERHEAD = (4096 + 8) / 4096;
/** However busy a link, TCP takes its part: a share of the capacity that is never lost to background traffic. */
const LEAST_LINK_SHARE = 0.15;
const LEAST_BANDWIDTH_MIB_S = 0.05;
/** Nothing is faster than the manager's own bookkeeping. */
const SHORTEST_SECONDS = 0.01;

const scratchInputs: PrecopyInputs = {
  volumeMib: 0,
  bandwidthMibS: 1,
  dirtyMibS: 0,
  workingSetMib: 0,
  downtimeLimitSeconds: 0.3,
  autoConverge: false,
  postcopy: false,
};

export const newPhysicsResult = (): PrecopyResult => newPrecopyResult();

/**
 * Duration of a move by physics alone, in seconds, with transferred MiB and downtime. `inputs` may hold NaN: then
 * the constants say. Rises with memory, disk and dirty rate, falls with bandwidth.
 */
export function movePhysics(
  inputs: MoveInputs,
  constants: PhysicsConstants,
  result: PrecopyResult,
): PrecopyResult {
  const memoryMib = known(inputs.memoryMib, known(inputs.usedMemoryMib, DEFAULT_MEMORY_MIB));
  const others = known(inputs.concurrentMoves, 0);
  const share = 1 / (1 + constants.sharing * others);
  const linkMbps = inputs.linkMbps > 0 ? inputs.linkMbps : DEFAULT_LINK_MBPS;
  const linkMibS = mbpsToMibPerSecond(linkMbps) * constants.linkShare;
  const freeMibS = max(
    LEAST_BANDWIDTH_MIB_S,
    LEAST_LINK_SHARE * linkMibS,
    linkMibS - mbpsToMibPerSecond(known(inputs.backgroundMbps, 0)),
  );
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
  const tunnelled = (inputs.capabilities & Capability.tunnelled) !== 0;
  const load = min(1, known(inputs.cpuLoad, 0));
  const hostMibS =
    (tunnelled ? constants.tunnelledMibS : constants.hostMibS) * (1 - min(0.95, constants.loadShare * load));
  let bandwidthMibS = min(freeMibS, hostMibS) * share;
  if (inputs.capMibS > 0) bandwidthMibS = min(bandwidthMibS, inputs.capMibS);
  bandwidthMibS = max(LEAST_BANDWIDTH_MIB_S, bandwidthMibS);
  const usedMib = min(memoryMib, known(inputs.usedMemoryMib, memoryMib * constants.usedShare));
  const pre = scratchInputs;
  pre.volumeMib = usedMib * PAGE_OVERHEAD + (memoryMib - usedMib) * (8 / 4096);
  pre.bandwidthMibS = bandwidthMibS;
  pre.dirtyMibS = known(inputs.dirtyMibS, constants.dirtyPriorMibS) * constants.dirtyShare;
  pre.workingSetMib = usedMib * constants.workingSetShare;
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

/** NaN-safe default: `value` unless it is not known. */
function known(value: number, otherwise: number): number {
  return value === value ? value : otherwise;
}
