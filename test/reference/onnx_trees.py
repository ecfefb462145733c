"""Answers of the ONNX tree ensembles in a folder to the rows in its rows.f64, as JSON by file: `onnx_trees.py FOLDER`.

A plain evaluator after the published operator (onnx.ai, TreeEnsembleRegressor of ai.onnx.ml), one row and one node at a
time, on what the onnx library reads from the file: another reader and another walk than ours.
"""
import glob
import json
import os
import sys

import numpy
import onnx
from onnx import helper, numpy_helper


def attributes(node):
    found = {}
    for attribute in node.attribute:
        value = helper.get_attribute_value(attribute)
        name = attribute.name
        if name.endswith('_as_tensor'):
            name, value = name[:-len('_as_tensor')], numpy_helper.to_array(value).tolist()
        found[name] = [v.decode() for v in value] if name == 'nodes_modes' else value
    return found


def trees_of(a, precision):
    """node id by tree: (feature, cut, true branch, false branch, missing goes true) or the weight of a leaf."""
    trees = {}
    for i, mode in enumerate(a['nodes_modes']):
        tree = trees.setdefault(a['nodes_treeids'][i], {})
        assert mode in ('LEAF', 'BRANCH_LEQ')
        tree[a['nodes_nodeids'][i]] = None if mode == 'LEAF' else (
            a['nodes_featureids'][i], precision(a['nodes_values'][i]), a['nodes_truenodeids'][i],
            a['nodes_falsenodeids'][i], a['nodes_missing_value_tracks_true'][i])
    for tree, node, weight in zip(a['target_treeids'], a['target_nodeids'], a['target_weights']):
        trees[tree][node] = float(weight)
    return list(trees.values())


def answer(trees, base, row):
    total = base
    for tree in trees:
        node = tree[0]
        while not isinstance(node, float):
            feature, cut, yes, no, missing_yes = node
            x = row[feature]
            node = tree[yes if (missing_yes if numpy.isnan(x) else x <= cut) else no]
        total += node
    return total


def main(folder):
    rows = numpy.fromfile(os.path.join(folder, 'rows.f64'))
    answers = {}
    for file in glob.glob(os.path.join(folder, '*.onnx')):
        graph = onnx.load(file).graph
        width = graph.input[0].type.tensor_type.shape.dim[1].dim_value
        double = graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.DOUBLE
        precision = numpy.float64 if double else numpy.float32
        a = attributes(graph.node[0])
        trees = trees_of(a, precision)
        sums = numpy.array([answer(trees, a['base_values'][0], row)
                            for row in rows.reshape(-1, width).astype(precision)])
        for node in graph.node[1:]:
            sums = {'Exp': numpy.exp, 'Sigmoid': lambda x: 1 / (1 + numpy.exp(-x))}[node.op_type](sums)
        answers[os.path.basename(file)] = sums.tolist()
    print(json.dumps(answers))


main(sys.argv[1])
