import { UserError } from '../domain/errors.js';
import { readFloat } from './haskell-numbers.js';

/** Dynamic load of one instance, on an arbitrary scale: CPU, memory, disk, network. */
export type Load = readonly [cpu: number, memory: number, disk: number, network: number];

/** What hbal assumes of an instance of which it knows no load: so that it evens out their count. */
export const UNKNOWN_LOAD: Load = [1, 1, 1, 1];
export const NO_LOAD: Load = [0, 0, 0, 0];

/**
 * hbal's `-U` file: one line an instance, `name cpu mem disk net`, parted by single spaces. Unknown instances are
 * skipped by whoever looks them up.
 */
export function parseUtilisation(text: string, file: string): Map<string, Load> {
  const loads = new Map<string, Load>();
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  lines.forEach((line, i) => {
    const [name = '', ...fields] = line.split(' ');
    const values = fields.map(readFloat);
    const [cpu, memory, disk, network] = values;
    if (
      fields.length !== 4 ||
      cpu === undefined ||
      memory === undefined ||
      disk === undefined ||
      network === undefined
    )
      throw new UserError(
        'input-invalid',
        `${file}, line ${i + 1}: must be a name and four numbers (cpu mem disk net) parted by single spaces`,
      );
    loads.set(name, [cpu, memory, disk, network]);
  });
  return loads;
}
