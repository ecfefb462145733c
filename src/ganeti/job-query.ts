/** Queries of Ganeti's job queue (`PUT /2/query/job`): what is asked for, and how the answer is read. */

export const JOB_QUERY_PATH = '/2/query/job';

/** `archived` is asked for so that archived jobs are among the answers; times of the single opcodes are nowhere else. */
export const JOB_QUERY_FIELDS = [
  'id',
  'status',
  'ops',
  'summary',
  'received_ts',
  'start_ts',
  'end_ts',
  'opstart',
  'opexec',
  'opend',
  'opstatus',
  'oplog',
  'opresult',
  'archived',
] as const;

/**
 * A reply → an object a row, without the cells that hold no data (theirs is another status than 0); undefined where it
 * is no such reply. The fields may come in any order; rows that are none are passed over.
 */
export function rowsOfQuery(reply: unknown): Record<string, unknown>[] | undefined {
  const { fields, data } = (reply ?? {}) as { fields?: unknown; data?: unknown };
  if (!Array.isArray(fields) || !Array.isArray(data)) return undefined;
  const names = (fields as unknown[]).map((field) => {
    const { name } = (field ?? {}) as { name?: unknown };
    return typeof name === 'string' ? name : undefined;
  });
  return (data as unknown[]).filter(Array.isArray).map((row: unknown[]) =>
    Object.fromEntries(
      row.flatMap((cell, column) => {
        const name = names[column];
        return Array.isArray(cell) && cell[0] === 0 && name !== undefined ? [[name, cell[1] as unknown]] : [];
      }),
    ),
  );
}
