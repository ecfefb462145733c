import { z } from 'zod';
import * as field from './fields.js';

/**
 * What a running move shows at one moment, as its hypervisor or manager says it: QEMU's `query-migrate`, libvirt's
 * `domjobinfo`, Proxmox' task log. All but `elapsed_seconds` may be missing; all of it was measured at or before that moment.
 */
export const moveProgressSchema = z
  .object({
    elapsed_seconds: field.elapsedSeconds.describe('since the move started; 0 when it has not yet'),
    transferred_mib: field.mib.optional().describe('sent so far'),
    remaining_mib: field.mib.optional().describe('still to send, as counted at this moment'),
    dirty_rate_mib_s: field.mibPerSecond
      .optional()
      .describe('rate at which pages were dirtied, by the last poll; 0 or absent during the first round'),
    throughput_mbps: field.mbps
      .optional()
      .describe('rate of the stream, by the last poll; what was sent over what has elapsed when absent'),
    dirty_sync_count: field.count.optional().describe('rounds begun; 1 during the first'),
  })
  .meta({ id: 'MoveProgress' });

export type MoveProgress = z.infer<typeof moveProgressSchema>;

export const moveProgressFields = Object.keys(moveProgressSchema.shape) as (keyof MoveProgress)[];
