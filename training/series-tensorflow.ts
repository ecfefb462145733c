import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import util from 'node:util';
import type * as TensorFlowCore from '@tensorflow/tfjs-core';
import type * as TensorFlowLayers from '@tensorflow/tfjs-layers';
import { UserError } from '../src/domain/errors.js';

/** TensorFlow.js as far as training needs it. */
export interface TensorFlow {
  core: typeof TensorFlowCore;
  layers: typeof TensorFlowLayers;
  /** Which computes: `tensorflow` (tfjs-node), `wasm` or `cpu`. */
  backend: string;
}

export const tensorFlowBackends = ['tensorflow', 'wasm', 'cpu'] as const;
export type TensorFlowBackend = (typeof tensorFlowBackends)[number];

/** In a variable, so that nothing looks for a package that is seldom installed before it is asked for. */
const TFJS_NODE = '@tensorflow/tfjs-node';

/**
 * Loads TensorFlow.js, which takes seconds: call it only to train. Takes tfjs-node where it is installed and works, else
 * WebAssembly, else plain JavaScript; `only` asks for one of them.
 *
 * @throws UserError when TensorFlow.js, an optional peer of this package, is not installed.
 */
export async function loadTensorFlow(only?: TensorFlowBackend): Promise<TensorFlow> {
  let core: typeof TensorFlowCore;
  let layers: typeof TensorFlowLayers;
  try {
    core = await import('@tensorflow/tfjs-core');
    layers = await import('@tensorflow/tfjs-layers');
  } catch {
    throw new UserError(
      'model-unusable',
      'training the network needs TensorFlow.js; install it with npm install @tensorflow/tfjs-core@4.22.0 @tensorflow/tfjs-layers@4.22.0 @tensorflow/tfjs-backend-cpu@4.22.0 @tensorflow/tfjs-backend-wasm@4.22.0',
    );
  }
  for (const backend of only === undefined ? tensorFlowBackends : [only]) {
    try {
      await prepare[backend](core);
      if (await core.setBackend(backend)) {
        await core.ready();
        return { core, layers, backend };
      }
    } catch {
      continue; // not installed, or not for this machine: the next one
    }
  }
  throw new UserError(
    'model-unusable',
    `TensorFlow.js has no backend ${only ?? 'at all'} that works on this machine`,
  );
}

const prepare: Record<TensorFlowBackend, (core: typeof TensorFlowCore) => Promise<void>> = {
  tensorflow: async () => {
    putBackUtilHelpers(util as unknown as Record<string, unknown>);
    await import(TFJS_NODE);
  },
  wasm: async () => {
    const { setWasmPaths } = await import('@tensorflow/tfjs-backend-wasm');
    const packageFile = createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm/package.json');
    setWasmPaths(`${dirname(packageFile)}/dist/`);
  },
  cpu: async () => {
    await import('@tensorflow/tfjs-backend-cpu');
  },
};

/** tfjs-node 4.22.0 calls helpers of node:util that Node 23 has removed (tensorflow/tfjs#8609). */
export function putBackUtilHelpers(target: Record<string, unknown>): void {
  target['isNullOrUndefined'] ??= (value: unknown): boolean => value === null || value === undefined;
  target['isArray'] ??= Array.isArray;
}
