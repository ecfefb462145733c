import { mbpsToMibPerSecond } from '../domain/units.js';
import { Capability, type MoveInputs } from './move-inputs.js';
import type { PrecopyResult } from './precopy.js';

const { log } = Math;

/**
 * The columns of the trees, all known before the start, with the direction in which the answer may go with them (+1:
 * never falls as the column rises). Sizes are held to +1, so that more memory never means a shorter move.
 */
export const moveFeatures: readonly { name: string; monotone: -1 | 0 | 1 }[] = [
  { name: 'log_physics_seconds', monotone: 1 },
  { name: 'log_volume_mib', monotone: 1 },
  { name: 'log_memory_mib', monotone: 1 },
  { name: 'used_share', monotone: 0 },
  { name: 'log_dirty_mib_s', monotone: 0 },
  { name: 'dirtied_over_link', monotone: 0 },
  { name: 'rounds', monotone: 0 },
  { name: 'log_link_mbps', monotone: 0 },
  { name: 'background_over_link', monotone: 0 },
  { name: 'cap_over_link', monotone: 0 },
  { name: 'cpu_load', monotone: 0 },
  { name: 'concurrent_moves', monotone: 0 },
  { name: 'vcpus', monotone: 0 },
  { name: 'downtime_limit_ms', monotone: 0 },
  { name: 'auto_converge', monotone: 0 },
  { name: 'xbzrle', monotone: 0 },
  { name: 'multifd_channels', monotone: 0 },
  { name: 'postcopy', monotone: 0 },
  { name: 'tunnelled', monotone: 0 },
  { name: 'known_volume', monotone: 0 },
  { name: 'effects', monotone: 0 },
];

/** Writes the features of a move into `out`; NaN where an input is not known. Allocates nothing. */
export function fillMoveFeatures(
  inputs: MoveInputs,
  physics: PrecopyResult,
  physicsLog: number,
  knownVolume: number,
  effects: number,
  out: Float64Array,
): void {
  const { capabilities, linkMbps } = inputs;
  const bit = (capability: number): number => ((capabilities & capability) !== 0 ? 1 : 0);
  const linkMibS = mbpsToMibPerSecond(linkMbps);
  out[0] = physicsLog;
  out[1] = log(physics.transferredMib + 1);
  out[2] = log(inputs.memoryMib + 1);
  out[3] = inputs.usedMemoryMib / inputs.memoryMib;
  out[4] = log(inputs.dirtyMibS + 1);
  out[5] = inputs.dirtyMibS / linkMibS;
  out[6] = physics.rounds;
  out[7] = log(linkMbps);
  out[8] = inputs.backgroundMbps / linkMbps;
  out[9] = inputs.capMibS / linkMibS;
  out[10] = inputs.cpuLoad;
  out[11] = inputs.concurrentMoves;
  out[12] = inputs.vcpus;
  out[13] = inputs.downtimeLimitMs;
  out[14] = bit(Capability.autoConverge);
  out[15] = bit(Capability.xbzrle);
  out[16] = bit(Capability.multifd) * (inputs.channels > 0 ? inputs.channels : 2);
  out[17] = bit(Capability.postcopy);
  out[18] = bit(Capability.tunnelled);
  out[19] = knownVolume;
  out[20] = effects;
}
