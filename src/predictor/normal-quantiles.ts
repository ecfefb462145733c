/** Quantiles of the standard normal at QUANTILE_LEVELS: 5 %, 10 %, 50 %, 90 %, 95 %. */
export const NORMAL_QUANTILES = [-1.6449, -1.2816, 0, 1.2816, 1.6449] as const;
