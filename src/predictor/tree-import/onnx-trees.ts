/**
 * ONNX models that are one TreeEnsembleRegressor (as skl2onnx, onnxmltools and our own export write them) as a forest of
 * ours. The protocol buffers are read here, without a library and without running anything.
 *
 * Operator: https://onnx.ai/onnx/operators/onnx_aionnxml_TreeEnsembleRegressor.html
 */
import { UserError } from '../../domain/errors.js';
import { LEAF, nextDown, type ForestLink } from '../trees.js';
import {
  checkImportSize,
  forestFromTables,
  importLimits,
  refuseImport,
  type ImportedForest,
  type NodeTable,
} from './imported-forest.js';
import {
  ATTRIBUTE,
  DIMENSION,
  DOUBLE,
  FEATURE_NAMES_KEY,
  FLOAT,
  GRAPH,
  METADATA,
  MODEL,
  NODE,
  SHAPE,
  TENSOR,
  TENSOR_TYPE,
  TYPE,
  VALUE,
} from './onnx-format.js';
import { appendIntegers, appendReals, WireError, wireFields, type WireField } from './protobuf.js';
import { greatestDoubleUpToFloat, greatestFloatUpTo } from './single-precision.js';

const LIBRARY = 'ONNX';
const TREES = 'TreeEnsembleRegressor';

/** What may stand behind the trees without changing a number, and what changes it in a way that a forest can say. */
const HARMLESS = new Set(['Identity', 'Reshape', 'Squeeze', 'Flatten']);
const AFTERWARDS: Record<string, ForestLink> = { Exp: 'exp', Sigmoid: 'logistic' };

interface Attribute {
  i: number;
  s: string;
  reals: number[];
  ints: number[];
  strings: string[];
}

interface Operator {
  type: string;
  inputs: string[];
  outputs: string[];
  attributes: Map<string, Attribute>;
}

/** An input or output of the graph. */
interface GraphValue {
  name: string;
  element: number;
  /** Size of each dimension, 0 where it is open. */
  shape: number[];
}

/**
 * Reads a model from its bytes. A model that takes floats, or makes floats of its input, rounds each value first, and so
 * does the forest. Throws a UserError for what is not ONNX, is damaged, holds other operators or casts to anything else
 * than floats and doubles, several targets or outputs, or comparisons by equality.
 */
export function forestFromOnnx(bytes: Uint8Array): ImportedForest {
  checkImportSize(LIBRARY, bytes.length);
  try {
    return readModel(bytes);
  } catch (error) {
    if (error instanceof WireError) refuseImport(LIBRARY, `cannot be read: ${error.message}`);
    throw error;
  }
}

function readModel(bytes: Uint8Array): ImportedForest {
  let graph: Uint8Array | undefined;
  let featureNames: string[] | undefined;
  for (const field of wireFields(bytes)) {
    if (field.field === MODEL.graph) graph = field.bytes;
    if (field.field === MODEL.metadata) featureNames = namesOf(field.bytes) ?? featureNames;
  }
  if (graph === undefined)
    throw new UserError('input-unreadable', 'this is not an ONNX model: it holds no graph');

  const operators: Operator[] = [];
  const inputs: GraphValue[] = [];
  const outputs: GraphValue[] = [];
  for (const field of wireFields(graph)) {
    if (field.field === GRAPH.node) operators.push(operatorOf(field.bytes));
    if (field.field === GRAPH.input) inputs.push(valueOf(field.bytes));
    if (field.field === GRAPH.output) outputs.push(valueOf(field.bytes));
  }
  const ensembles = operators.filter((operator) => operator.type === TREES);
  const ensemble = ensembles[0];
  if (ensemble === undefined || ensembles.length > 1) {
    const found = operators.map((operator) => operator.type.slice(0, 40)).slice(0, 5);
    refuseImport(
      LIBRARY,
      `needs one ${TREES}, but has ${ensembles.length} (operators: ${found.join(', ') || 'none'})`,
    );
  }
  const { isRounded, input } = wayTo(ensemble, operators, inputs);
  const link = wayFrom(ensemble, operators, outputs);
  const tables = tablesOf(ensemble, isRounded);
  const highest =
    ensemble.attributes.get('nodes_featureids')?.ints.reduce((most, f) => Math.max(most, f), -1) ?? -1;
  const features = input.shape[1] ?? 0;
  const columns = features > 0 ? features : highest + 1;
  const base = ensemble.attributes.get('base_values_as_tensor') ?? ensemble.attributes.get('base_values');
  return {
    forest: forestFromTables(LIBRARY, tables, { features: columns, base: base?.reals[0] ?? 0, link }),
    featureNames: featureNames?.length === columns ? featureNames : undefined,
    objective: '',
    remarks:
      features > 0 ? [] : [`the file does not say its number of features; ${columns} was read off its trees`],
  };
}

/** Walks from the trees up to the graph's input: only casts may stand in between, and one to floats rounds for good. */
function wayTo(
  ensemble: Operator,
  operators: Operator[],
  inputs: GraphValue[],
): { isRounded: boolean; input: GraphValue } {
  let name = ensemble.inputs[0];
  let isRounded = false;
  for (let step = 0; step <= operators.length; step++) {
    const input = inputs.find((candidate) => candidate.name === name);
    if (input !== undefined) {
      if (!isReal(input.element)) refuseImport(LIBRARY, 'takes neither floats nor doubles');
      return { isRounded: isRounded || input.element === FLOAT, input };
    }
    const before = operators.find((operator) => operator.outputs[0] === name);
    if (before === undefined) break;
    if (before.type === 'Cast') isRounded = castTo(before) === FLOAT || isRounded;
    else if (before.type !== 'Identity') {
      refuseImport(
        LIBRARY,
        `changes its input by ${before.type.slice(0, 40)} before its trees; only Cast is taken`,
      );
    }
    name = before.inputs[0];
  }
  return refuseImport(LIBRARY, 'does not lead from its input to its trees');
}

/** Walks from the graph's output up to the trees. */
function wayFrom(ensemble: Operator, operators: Operator[], outputs: GraphValue[]): ForestLink {
  const transform = ensemble.attributes.get('post_transform')?.s ?? 'NONE';
  if (transform !== 'NONE') {
    // onnxruntime applies LOGISTIC to several targets only, whatever the operator's page says.
    refuseImport(
      LIBRARY,
      `ends with post_transform ${transform.slice(0, 40)}, which runtimes read differently; use an operator Sigmoid or Exp`,
    );
  }
  if (outputs.length > 1)
    refuseImport(LIBRARY, `has ${outputs.length} outputs; export one with a single one`);
  let link: ForestLink = 'identity';
  let name = outputs[0]?.name;
  for (let step = 0; step <= operators.length; step++) {
    const before = operators.find((operator) => operator.outputs[0] === name);
    if (before === undefined) break;
    if (before === ensemble) return link;
    const changed = AFTERWARDS[before.type];
    if (changed !== undefined && link === 'identity') link = changed;
    else if (before.type === 'Cast') castTo(before);
    else if (!HARMLESS.has(before.type)) {
      refuseImport(
        LIBRARY,
        `changes the answer of its trees by ${before.type.slice(0, 40)}, which is not taken`,
      );
    }
    name = before.inputs[0];
  }
  return refuseImport(LIBRARY, 'does not lead from its trees to its output');
}

const isReal = (element: number): boolean => element === FLOAT || element === DOUBLE;

/** What a Cast makes of its numbers: whole numbers, booleans and short floats are not what the trees were grown on. */
function castTo(cast: Operator): number {
  const element = cast.attributes.get('to')?.i ?? 0;
  return isReal(element)
    ? element
    : refuseImport(LIBRARY, 'casts to something else than floats and doubles, which is not taken');
}

function tablesOf(ensemble: Operator, isRounded: boolean): NodeTable[] {
  const of = (name: string): Attribute | undefined => ensemble.attributes.get(name);
  const ints = (name: string): number[] => of(name)?.ints ?? [];
  const treeIds = ints('nodes_treeids');
  const nodeIds = ints('nodes_nodeids');
  const features = ints('nodes_featureids');
  const whenTrue = ints('nodes_truenodeids');
  const whenFalse = ints('nodes_falsenodeids');
  const missingIsTrue = ints('nodes_missing_value_tracks_true');
  const modes = of('nodes_modes')?.strings ?? [];
  const cuts = (of('nodes_values_as_tensor') ?? of('nodes_values'))?.reals ?? [];
  const nodes = treeIds.length;
  const columns = { nodeIds, features, whenTrue, whenFalse, modes, cuts };
  for (const [name, column] of Object.entries(columns)) {
    if (column.length !== nodes)
      refuseImport(LIBRARY, `is damaged: ${name} has ${column.length} entries, not ${nodes}`);
  }
  if (missingIsTrue.length !== 0 && missingIsTrue.length !== nodes) {
    refuseImport(
      LIBRARY,
      `is damaged: nodes_missing_value_tracks_true has ${missingIsTrue.length} entries, not ${nodes}`,
    );
  }
  if (nodes > importLimits.nodes) {
    throw new UserError(
      'too-large',
      `this ONNX model has ${nodes} nodes, at most ${importLimits.nodes} are taken`,
    );
  }
  if ((of('n_targets')?.i ?? 1) > 1 || ints('target_ids').some((target) => target !== 0))
    refuseImport(LIBRARY, 'answers several targets; export one model for each');

  const members = new Map<number, number[]>(); // tree id → places of its nodes, in the order of the file
  treeIds.forEach((tree, i) => {
    const list = members.get(tree);
    if (list === undefined) members.set(tree, [i]);
    else list.push(i);
  });
  const aggregate = of('aggregate_function')?.s ?? 'SUM';
  if (aggregate !== 'SUM' && aggregate !== 'AVERAGE') {
    refuseImport(LIBRARY, `takes the ${aggregate.slice(0, 40)} of its trees; SUM and AVERAGE are taken`);
  }
  const weights = leafWeights(ensemble, aggregate === 'AVERAGE' ? 1 / members.size : 1);

  return [...members].map(([tree, places]) => {
    const local = new Map(places.map((place, i) => [nodeIds[place]!, i]));
    const refuseTree = (what: string): never => refuseImport(LIBRARY, `is damaged: tree ${tree} ${what}`);
    if (local.size !== places.length) refuseTree('has two nodes of one number');
    const table = {
      feature: new Int32Array(places.length).fill(LEAF),
      threshold: new Float64Array(places.length),
      left: new Int32Array(places.length).fill(-1),
      right: new Int32Array(places.length).fill(-1),
      defaultLeft: new Uint8Array(places.length),
      value: new Float64Array(places.length),
    };
    const hasParent = new Uint8Array(places.length);
    places.forEach((place, i) => {
      const mode = modes[place]!;
      if (mode === 'LEAF') {
        table.value[i] = weights.get(tree)?.get(nodeIds[place]!) ?? 0;
        return;
      }
      const comparison = comparisons[mode];
      if (comparison === undefined) return refuseTree(`compares by ${mode.slice(0, 40)}, which is not taken`);
      const { strict, trueIsLeft } = comparison;
      const yes = local.get(whenTrue[place]!) ?? -1;
      const no = local.get(whenFalse[place]!) ?? -1;
      if (yes >= 0) hasParent[yes] = 1;
      if (no >= 0) hasParent[no] = 1;
      table.feature[i] = features[place]!;
      table.threshold[i] = doubleCut(cuts[place]!, strict, isRounded);
      table.left[i] = trueIsLeft ? yes : no;
      table.right[i] = trueIsLeft ? no : yes;
      table.defaultLeft[i] = (missingIsTrue[place] === 1) === trueIsLeft ? 1 : 0;
    });
    const roots = places.map((_, i) => i).filter((i) => hasParent[i] === 0);
    if (roots.length !== 1) refuseTree(`has ${roots.length} roots, so that it is no tree`);
    return rootFirst(table, roots[0]!);
  });
}

/** "x < t" is said as "x <= the number before t"; "greater" is "not less or equal", with the sides changed. */
const comparisons: Record<string, { strict: boolean; trueIsLeft: boolean }> = {
  BRANCH_LEQ: { strict: false, trueIsLeft: true },
  BRANCH_LT: { strict: true, trueIsLeft: true },
  BRANCH_GT: { strict: false, trueIsLeft: false },
  BRANCH_GTE: { strict: true, trueIsLeft: false },
};

/** The greatest double that goes the way of the smaller ones; values that are rounded to floats meet cuts that need not be. */
function doubleCut(cut: number, strict: boolean, isRounded: boolean): number {
  if (strict && cut === -Infinity) return NaN; // nothing is below
  const greatest = strict ? nextDown(cut) : cut;
  return isRounded ? greatestDoubleUpToFloat(greatestFloatUpTo(greatest)) : greatest;
}

/** Swaps the root to place 0, where `forestFromTables` looks for it. */
function rootFirst(table: Mutable<NodeTable>, root: number): NodeTable {
  if (root === 0) return table;
  const moved = (child: number): number => (child === root ? 0 : child === 0 ? root : child);
  const swap = <T extends ArrayLike<number>>(column: T): T => {
    const copy = Array.from(column);
    copy[0] = column[root]!;
    copy[root] = column[0]!;
    return copy as ArrayLike<number> as T;
  };
  return {
    feature: swap(table.feature),
    threshold: swap(table.threshold),
    left: Array.from(swap(table.left), moved),
    right: Array.from(swap(table.right), moved),
    defaultLeft: swap(table.defaultLeft),
    value: swap(table.value),
  };
}
type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** tree id → node id → what the leaf adds. */
function leafWeights(ensemble: Operator, factor: number): Map<number, Map<number, number>> {
  const trees = ensemble.attributes.get('target_treeids')?.ints ?? [];
  const nodes = ensemble.attributes.get('target_nodeids')?.ints ?? [];
  const weights =
    (ensemble.attributes.get('target_weights_as_tensor') ?? ensemble.attributes.get('target_weights'))
      ?.reals ?? [];
  if (trees.length !== nodes.length || trees.length !== weights.length) {
    refuseImport(LIBRARY, 'is damaged: target_treeids, target_nodeids and target_weights differ in length');
  }
  const byTree = new Map<number, Map<number, number>>();
  trees.forEach((tree, i) => {
    const ofTree = byTree.get(tree) ?? new Map<number, number>();
    byTree.set(tree, ofTree);
    ofTree.set(nodes[i]!, (ofTree.get(nodes[i]!) ?? 0) + weights[i]! * factor);
  });
  return byTree;
}

// The messages ------------------------------------------------------------------------------------------------------

const utf8 = new TextDecoder();
const textOf = (field: WireField): string => utf8.decode(field.bytes);

function operatorOf(bytes: Uint8Array): Operator {
  const operator: Operator = { type: '', inputs: [], outputs: [], attributes: new Map() };
  for (const field of wireFields(bytes)) {
    if (field.field === NODE.opType) operator.type = textOf(field);
    if (field.field === NODE.input) operator.inputs.push(textOf(field));
    if (field.field === NODE.output) operator.outputs.push(textOf(field));
    if (field.field === NODE.attribute) {
      const [name, attribute] = attributeOf(field.bytes);
      operator.attributes.set(name, attribute);
    }
  }
  return operator;
}

function attributeOf(bytes: Uint8Array): [string, Attribute] {
  let name = '';
  const attribute: Attribute = { i: 0, s: '', reals: [], ints: [], strings: [] };
  for (const field of wireFields(bytes)) {
    if (field.field === ATTRIBUTE.name) name = textOf(field);
    if (field.field === ATTRIBUTE.i) attribute.i = field.number;
    if (field.field === ATTRIBUTE.s) attribute.s = textOf(field);
    if (field.field === ATTRIBUTE.tensor) attribute.reals = tensorOf(field.bytes);
    if (field.field === ATTRIBUTE.floats) appendReals(field, 4, attribute.reals);
    if (field.field === ATTRIBUTE.ints) appendIntegers(field, attribute.ints);
    if (field.field === ATTRIBUTE.strings) attribute.strings.push(textOf(field));
  }
  return [name, attribute];
}

function tensorOf(bytes: Uint8Array): number[] {
  const fields = [...wireFields(bytes)];
  const type = fields.find((field) => field.field === TENSOR.dataType)?.number;
  if (type !== FLOAT && type !== DOUBLE)
    refuseImport(LIBRARY, 'holds numbers that are neither floats nor doubles');
  const values: number[] = [];
  for (const field of fields) {
    if (field.field === TENSOR.floatData) appendReals(field, 4, values);
    if (field.field === TENSOR.doubleData) appendReals(field, 8, values);
    if (field.field === TENSOR.raw) appendReals(field, type === FLOAT ? 4 : 8, values);
  }
  return values;
}

function valueOf(bytes: Uint8Array): GraphValue {
  const value: GraphValue = { name: '', element: 0, shape: [] };
  for (const field of wireFields(bytes)) {
    if (field.field === VALUE.name) value.name = textOf(field);
    if (field.field !== VALUE.type) continue;
    for (const type of wireFields(field.bytes)) {
      if (type.field !== TYPE.tensor) continue;
      for (const part of wireFields(type.bytes)) {
        if (part.field === TENSOR_TYPE.element) value.element = part.number;
        if (part.field === TENSOR_TYPE.shape) value.shape = shapeOf(part.bytes);
      }
    }
  }
  return value;
}

function shapeOf(bytes: Uint8Array): number[] {
  const shape: number[] = [];
  for (const field of wireFields(bytes)) {
    if (field.field !== SHAPE.dimension) continue;
    const size = [...wireFields(field.bytes)].find((part) => part.field === DIMENSION.value);
    shape.push(size?.number ?? 0);
  }
  return shape;
}

/** Our export writes the column names into the model's metadata. */
function namesOf(bytes: Uint8Array): string[] | undefined {
  const fields = [...wireFields(bytes)];
  const part = (which: number): string =>
    fields.filter((field) => field.field === which).map(textOf)[0] ?? '';
  if (part(METADATA.key) !== FEATURE_NAMES_KEY) return undefined;
  try {
    const names: unknown = JSON.parse(part(METADATA.value));
    return Array.isArray(names) && names.every((name) => typeof name === 'string') ? names : undefined;
  } catch {
    return undefined;
  }
}
