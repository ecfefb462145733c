/**
 * Token buckets, one a client: `perSecond` requests are let through on average, `burst` at once. Clients beyond
 * `mostClients` push the longest unseen one out, so memory stays bounded. O(1) a request.
 */
export class RateLimit {
  private readonly buckets = new Map<string, { left: number; seenMs: number }>();

  constructor(
    private readonly perSecond: number,
    private readonly burst: number,
    private readonly mostClients = 10_000,
  ) {}

  /** Milliseconds to wait before this client may go on; 0: go on. */
  take(client: string, nowMs: number): number {
    let bucket = this.buckets.get(client);
    if (bucket === undefined) {
      if (this.buckets.size >= this.mostClients) this.buckets.delete(this.buckets.keys().next().value!);
      bucket = { left: this.burst, seenMs: nowMs };
      this.buckets.set(client, bucket);
    } else if (this.buckets.size > this.mostClients >> 1) {
      this.buckets.delete(client); // put at the end: the map's order is by last use
      this.buckets.set(client, bucket);
    }
    const elapsedMs = Math.max(0, nowMs - bucket.seenMs);
    bucket.left = Math.min(this.burst, bucket.left + (elapsedMs * this.perSecond) / 1000);
    bucket.seenMs = nowMs;
    if (bucket.left < 1) return Math.ceil(((1 - bucket.left) * 1000) / this.perSecond);
    bucket.left -= 1;
    return 0;
  }
}
