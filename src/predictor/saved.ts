/** A map as it stands in model.json: pairs of key and value, in the order in which keys were first seen. */
export type Saved<T> = [string, T][];
