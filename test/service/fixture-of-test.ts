import { afterEach } from '@jest/globals';
import { serviceFixture, type FixtureSettings, type ServiceFixture } from './service-fixture.js';

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** What closes something that a test has opened: called when the test ends. */
export function closeAfterTest(close: () => Promise<void>): void {
  closing.push(close);
}

/** The service of one test: it closes when the test ends. */
export async function fixtureOfTest(settings: FixtureSettings = {}): Promise<ServiceFixture> {
  const made = await serviceFixture(settings);
  closeAfterTest(() => made.close());
  return made;
}
