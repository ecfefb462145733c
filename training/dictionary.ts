/** An empty record for keys from outside: any name is one, `__proto__` and `constructor` too. */
export const dictionary = <T>(): Record<string, T> => Object.create(null) as Record<string, T>;
