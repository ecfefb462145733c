/** Numbers for people: three digits that matter, a unit with each. */

const THIN = '\u202f';

/** Seconds as `8.4 s`, `85 s`, `12 min 30 s`, `3 h 20 min`. */
export function seconds(value: number): string {
  if (value === 0) return `0${THIN}s`;
  if (value < 9.95) return `${value.toFixed(value < 0.995 ? 2 : 1)}${THIN}s`;
  if (value < 119.5) return `${Math.round(value)}${THIN}s`;
  if (value < 7170) {
    const whole = Math.round(value);
    return whole % 60 === 0
      ? `${whole / 60}${THIN}min`
      : `${Math.floor(whole / 60)}${THIN}min ${whole % 60}${THIN}s`;
  }
  const minutes = Math.round(value / 60);
  return `${Math.floor(minutes / 60)}${THIN}h ${minutes % 60}${THIN}min`;
}

/** Percent as `2.9 %`, `38 %`. */
export const percent = (value: number): string => `${percentDigits(value)}${THIN}%`;
export const percentDigits = (value: number): string => value.toFixed(Math.abs(value) < 9.95 ? 1 : 0);
export const share = (value: number): string => `${(100 * value).toFixed(1)}${THIN}%`;
export const signedPercent = (value: number): string => `${value < 0 ? '−' : '+'}${percent(Math.abs(value))}`;

export const count = (value: number): string => value.toLocaleString('en');

export const plural = (value: number, one: string, many = `${one}s`): string =>
  `${count(value)} ${value === 1 ? one : many}`;

/** A time of the API in the reader's own zone, to the minute or second. */
export function when(iso: string): string {
  return new Date(iso).toLocaleString('en-GB', {
    year: 'numeric',
    month: 'short',
    day: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
  });
}

/** How long ago, as `12 minutes`, `22 hours`, `3 days`. */
export function age(value: number): string {
  if (value < 2 * 3600) return plural(Math.round(value / 60), 'minute');
  return value < 2 * 86_400
    ? plural(Math.round(value / 3600), 'hour')
    : plural(Math.round(value / 86_400), 'day');
}

/** Mbit/s in three digits, without the unit. */
export const mbps = (value: number): string =>
  value >= 99.5
    ? Math.round(value).toLocaleString('en')
    : value >= 0.995 || value === 0
      ? Number(value.toPrecision(2)).toString()
      : value.toFixed(2);

/** MiB as `512 MiB`, `4 GiB`. */
export const memory = (mib: number): string =>
  mib >= 1024 ? `${Number((mib / 1024).toFixed(1))}${THIN}GiB` : `${Math.round(mib)}${THIN}MiB`;

const operations: Record<string, string> = {
  live_migration: 'live migration',
  failover: 'failover',
  disk_replication: 'disk replication',
};
export const operation = (name: string): string => operations[name] ?? name;

const bases: Record<string, string> = {
  link: 'earlier moves between these two nodes',
  node: 'earlier moves of one of these nodes',
  cluster: 'earlier moves of this cluster',
  prior: 'physics alone',
};
export const basis = (name: string): string => bases[name] ?? name;
