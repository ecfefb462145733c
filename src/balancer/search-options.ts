/** hbal's options of the search itself, with hbal's defaults. */
export interface SearchOptions {
  /** Stop after this many moves; negative: no limit. */
  maxLength: number;
  /** Excess over the unavoidable part of the score at which the cluster is balanced. */
  minScore: number;
  /** Least gain of a move ... */
  minGain: number;
  /** ... which is asked for only below this score. */
  minGainLimit: number;
  diskMoves: boolean;
  instanceMoves: boolean;
  evacuate: boolean;
  restrictedMigration: boolean;
  ignoreSoftErrors: boolean;
  /** Moves that a node takes part in at once; 1, as Ganeti's locks enforce, unless given. Not hbal's. */
  parallelPerNode?: number | undefined;
  /** Names; undefined: all. */
  selected: ReadonlySet<string> | undefined;
  excluded: ReadonlySet<string>;
}

export const defaultSearchOptions: SearchOptions = {
  maxLength: -1,
  minScore: 1e-9,
  minGain: 0.01,
  minGainLimit: 0.1,
  diskMoves: true,
  instanceMoves: true,
  evacuate: false,
  restrictedMigration: false,
  ignoreSoftErrors: false,
  selected: undefined,
  excluded: new Set(),
};
