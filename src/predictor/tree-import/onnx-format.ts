/** Field numbers and codes of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto) that tree models use. */

export const MODEL = { irVersion: 1, producerName: 2, graph: 7, opsetImport: 8, metadata: 14 } as const;
export const METADATA = { key: 1, value: 2 } as const;
export const OPSET = { domain: 1, version: 2 } as const;
export const GRAPH = { node: 1, name: 2, input: 11, output: 12 } as const;
export const NODE = { input: 1, output: 2, name: 3, opType: 4, attribute: 5, domain: 7 } as const;
export const ATTRIBUTE = {
  name: 1,
  i: 3,
  s: 4,
  tensor: 5,
  floats: 7,
  ints: 8,
  strings: 9,
  type: 20,
} as const;
export const ATTRIBUTE_TYPE = { int: 2, string: 3, tensor: 4, floats: 6, ints: 7, strings: 8 } as const;
export const VALUE = { name: 1, type: 2 } as const;
export const TYPE = { tensor: 1 } as const;
export const TENSOR_TYPE = { element: 1, shape: 2 } as const;
export const SHAPE = { dimension: 1 } as const;
export const DIMENSION = { value: 1, name: 2 } as const;
export const TENSOR = { dims: 1, dataType: 2, floatData: 4, name: 8, raw: 9, doubleData: 10 } as const;

/** TensorProto.DataType */
export const FLOAT = 1;
export const DOUBLE = 11;

/** The domain of the tree operators. */
export const ML_DOMAIN = 'ai.onnx.ml';
/** The key under which column names stand in the model's metadata: a JSON list. */
export const FEATURE_NAMES_KEY = 'feature_names';
