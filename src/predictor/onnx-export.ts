/**
 * A forest as an ONNX model of one TreeEnsembleRegressor, for those who serve models elsewhere.
 *
 * `double` (the default) takes rows as doubles and decides exactly as we do; it needs a runtime of ai.onnx.ml 3 (2022,
 * such as onnxruntime 1.11). `float` runs everywhere; there every value is rounded to a float first, so that a value
 * within a rounding of a threshold may go the other way. Answers are floats in both: equal to ours to about 1e-6.
 *
 * Operator: https://onnx.ai/onnx/operators/onnx_aionnxml_TreeEnsembleRegressor.html
 */
import { LEAF, treeCount, type Forest, type ForestLink } from './trees.js';
import {
  ATTRIBUTE,
  ATTRIBUTE_TYPE,
  DIMENSION,
  DOUBLE,
  FEATURE_NAMES_KEY,
  FLOAT,
  GRAPH,
  METADATA,
  ML_DOMAIN,
  MODEL,
  NODE,
  OPSET,
  SHAPE,
  TENSOR,
  TENSOR_TYPE,
  TYPE,
  VALUE,
} from './tree-import/onnx-format.js';
import { WireWriter } from './tree-import/protobuf.js';
import { greatestFloatUpTo } from './tree-import/single-precision.js';

/** The version of the file's outer shape: the first that knows opset 13. */
const IR_VERSION = 7;
const CORE_OPSET = 13;
/** The tree operator takes doubles since version 3. */
const ML_OPSET = { float: 1, double: 3 } as const;

/** The link as an operator of its own: of one target, onnxruntime 1.30 does not apply the trees' `post_transform`. */
const AFTER_THE_SUM: Record<ForestLink, string | undefined> = {
  identity: undefined,
  exp: 'Exp',
  logistic: 'Sigmoid',
};

export type OnnxPrecision = keyof typeof ML_OPSET;

/**
 * The bytes of an ONNX model: input `features` (rows × columns), output `prediction` (rows × 1). `featureNames`, where
 * given, go into the model's metadata as a JSON list. O(nodes).
 */
export function forestToOnnx(
  forest: Forest,
  given: { precision?: OnnxPrecision; featureNames?: readonly string[] } = {},
): Uint8Array {
  const precision = given.precision ?? 'double';
  const graph = new WireWriter().message(GRAPH.node, ensemble(forest, precision));
  const after = AFTER_THE_SUM[forest.link];
  if (after !== undefined) {
    graph.message(
      GRAPH.node,
      new WireWriter().text(NODE.input, 'sum').text(NODE.output, 'prediction').text(NODE.opType, after),
    );
  }
  graph
    .text(GRAPH.name, 'forest')
    .message(GRAPH.input, tensorValue('features', precision === 'double' ? DOUBLE : FLOAT, forest.features))
    .message(GRAPH.output, tensorValue('prediction', FLOAT, 1));
  const model = new WireWriter()
    .integer(MODEL.irVersion, IR_VERSION)
    .text(MODEL.producerName, 'movecast')
    .message(MODEL.graph, graph)
    .message(MODEL.opsetImport, new WireWriter().text(OPSET.domain, '').integer(OPSET.version, CORE_OPSET))
    .message(
      MODEL.opsetImport,
      new WireWriter().text(OPSET.domain, ML_DOMAIN).integer(OPSET.version, ML_OPSET[precision]),
    );
  if (given.featureNames !== undefined) {
    const names = new WireWriter()
      .text(METADATA.key, FEATURE_NAMES_KEY)
      .text(METADATA.value, JSON.stringify(given.featureNames));
    model.message(MODEL.metadata, names);
  }
  return model.finish();
}

/** The operator must have a tree: a forest without one gets a leaf that adds nothing. */
const emptyLeaf = {
  treeStart: Int32Array.of(0, 1),
  feature: Int32Array.of(LEAF),
  threshold: Float64Array.of(0),
  left: Int32Array.of(0),
  defaultLeft: Uint8Array.of(0),
  value: Float64Array.of(0),
};

function ensemble(given: Forest, precision: OnnxPrecision): WireWriter {
  const forest: Forest = treeCount(given) === 0 ? { ...given, ...emptyLeaf } : given;
  const { treeStart, feature, left, defaultLeft } = forest;
  const trees = treeCount(forest);
  const nodes = feature.length;
  const treeIds = new Int32Array(nodes);
  const nodeIds = new Int32Array(nodes);
  const whenTrue = new Int32Array(nodes);
  const whenFalse = new Int32Array(nodes);
  const cuts = new Float64Array(nodes);
  const leafTrees: number[] = [];
  const leafNodes: number[] = [];
  const leafValues: number[] = [];
  for (let tree = 0; tree < trees; tree++) {
    const first = treeStart[tree]!;
    for (let node = first; node < treeStart[tree + 1]!; node++) {
      treeIds[node] = tree;
      nodeIds[node] = node - first;
      if (feature[node] === LEAF) {
        leafTrees.push(tree);
        leafNodes.push(node - first);
        leafValues.push(forest.value[node]!);
      } else {
        whenTrue[node] = left[node]! - first;
        whenFalse[node] = left[node]! + 1 - first;
        cuts[node] =
          precision === 'double' ? forest.threshold[node]! : greatestFloatUpTo(forest.threshold[node]!);
      }
    }
  }
  const writer = new WireWriter()
    .text(NODE.input, 'features')
    .text(NODE.output, forest.link === 'identity' ? 'prediction' : 'sum')
    .text(NODE.name, 'trees')
    .text(NODE.opType, 'TreeEnsembleRegressor');
  const reals = (name: string, values: ArrayLike<number>): void => {
    writer.message(
      NODE.attribute,
      precision === 'double' ? doubles(`${name}_as_tensor`, values) : floats(name, values),
    );
  };
  writer.message(NODE.attribute, integers('nodes_treeids', treeIds));
  writer.message(NODE.attribute, integers('nodes_nodeids', nodeIds));
  writer.message(
    NODE.attribute,
    integers(
      'nodes_featureids',
      feature.map((f) => Math.max(f, 0)),
    ),
  );
  writer.message(NODE.attribute, strings('nodes_modes', feature));
  reals('nodes_values', cuts);
  writer.message(NODE.attribute, integers('nodes_truenodeids', whenTrue));
  writer.message(NODE.attribute, integers('nodes_falsenodeids', whenFalse));
  writer.message(NODE.attribute, integers('nodes_missing_value_tracks_true', defaultLeft));
  writer.message(NODE.attribute, integers('target_treeids', leafTrees));
  writer.message(NODE.attribute, integers('target_nodeids', leafNodes));
  writer.message(NODE.attribute, integers('target_ids', new Int32Array(leafTrees.length)));
  reals('target_weights', leafValues);
  reals('base_values', [forest.base]);
  const targets = attribute('n_targets', ATTRIBUTE_TYPE.int).integer(ATTRIBUTE.i, 1);
  writer.message(NODE.attribute, targets);
  writer.message(
    NODE.attribute,
    attribute('post_transform', ATTRIBUTE_TYPE.string).text(ATTRIBUTE.s, 'NONE'),
  );
  return writer.text(NODE.domain, ML_DOMAIN);
}

const attribute = (name: string, type: number): WireWriter =>
  new WireWriter().text(ATTRIBUTE.name, name).integer(ATTRIBUTE.type, type);

const integers = (name: string, values: ArrayLike<number>): WireWriter =>
  attribute(name, ATTRIBUTE_TYPE.ints).integers(ATTRIBUTE.ints, values);

const floats = (name: string, values: ArrayLike<number>): WireWriter =>
  attribute(name, ATTRIBUTE_TYPE.floats).floats(ATTRIBUTE.floats, values);

const doubles = (name: string, values: ArrayLike<number>): WireWriter =>
  attribute(name, ATTRIBUTE_TYPE.tensor).message(
    ATTRIBUTE.tensor,
    new WireWriter()
      .integer(TENSOR.dims, values.length)
      .integer(TENSOR.dataType, DOUBLE)
      .doubles(TENSOR.doubleData, values)
      .text(TENSOR.name, name),
  );

function strings(name: string, feature: Int32Array): WireWriter {
  const writer = attribute(name, ATTRIBUTE_TYPE.strings);
  for (const f of feature) writer.text(ATTRIBUTE.strings, f === LEAF ? 'LEAF' : 'BRANCH_LEQ');
  return writer;
}

function tensorValue(name: string, element: number, columns: number): WireWriter {
  const shape = new WireWriter()
    .message(SHAPE.dimension, new WireWriter().text(DIMENSION.name, 'rows'))
    .message(SHAPE.dimension, new WireWriter().integer(DIMENSION.value, columns));
  const tensor = new WireWriter().integer(TENSOR_TYPE.element, element).message(TENSOR_TYPE.shape, shape);
  return new WireWriter()
    .text(VALUE.name, name)
    .message(VALUE.type, new WireWriter().message(TYPE.tensor, tensor));
}
