/** Streams of items in order of time, as stores promise them: by millisecond, ties by key. */

/** Rows arrive by time to the nanosecond; the promise is by millisecond, ties by key. Holds one millisecond's rows. */
export async function* inOrder<R, T>(
  rows: AsyncIterable<R>,
  itemOf: (row: R) => T | undefined,
  timeOf: (item: T) => number,
  keyOf: (item: T) => readonly string[],
  newestFirst = false,
): AsyncGenerator<T> {
  let together: T[] = [];
  const byKey = (): T[] => {
    if (together.length < 2) return together;
    return together.sort((a, b) => (newestFirst ? -1 : 1) * compareKeys(keyOf(a), keyOf(b)));
  };
  for await (const row of rows) {
    const item = itemOf(row);
    if (item === undefined) continue;
    if (together.length > 0 && timeOf(item) !== timeOf(together[0]!)) {
      yield* byKey();
      together = [];
    }
    together.push(item);
  }
  yield* byKey();
}

/** Two streams in order of time as one; of equal times the first stream's. */
export async function* merged<T>(
  first: AsyncGenerator<T>,
  second: AsyncGenerator<T>,
  timeOf: (item: T) => number,
): AsyncGenerator<T> {
  try {
    let a = await first.next();
    let b = await second.next();
    while (a.done !== true || b.done !== true) {
      if (b.done === true || (a.done !== true && timeOf(a.value) <= timeOf(b.value))) {
        yield a.value as T;
        a = await first.next();
      } else {
        yield b.value;
        b = await second.next();
      }
    }
  } finally {
    await first.return(undefined);
    await second.return(undefined);
  }
}

function compareKeys(a: readonly string[], b: readonly string[]): number {
  for (let i = 0; i < a.length; i++) {
    if (a[i]! < b[i]!) return -1;
    if (a[i]! > b[i]!) return 1;
  }
  return 0;
}
