import { beforeEach, expect } from '@jest/globals';

// A test that ends without having looked at anything, say in a loop over nothing, shows nothing, and fails.
beforeEach(() => {
  // oxlint-disable-next-line jest/no-standalone-expect
  expect.hasAssertions();
});
