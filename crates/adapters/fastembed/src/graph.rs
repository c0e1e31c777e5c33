//! A change to weight-quantised graphs before they run: what can be computed once is computed at
//! load, what a text doesn't need isn't computed at all.
//!
//! Such a model stores its matrices as int8 with one scale a row or column, and its graph makes
//! floats of them with a `Cast` and a `Mul`. Two things cost time under tract: it folds these while
//! it infers shapes, slowly, and it folds nothing above 4 MiB, so that the word table (30,522 × 384
//! for MiniLM) is made into floats anew for each text. Here
//!
//! - a table that rows are looked up in stays int8, and only the rows found are scaled:
//!   `Gather(Mul(Cast(table), scale), ids)` becomes `Mul(Cast(Gather(table, ids)), Gather(scale,
//!   ids))`;
//! - any other `Mul(Cast(matrix), scale)` becomes the stored float matrix.
//!
//! Each number is computed from the same two factors as before, so results are the same.

use std::collections::{HashMap, HashSet};

use prost::Message;
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, TensorProto, tensor_proto::DataType};

/// Rewrites every stored int8 matrix that is cast and scaled. `None` where there is none.
pub(crate) fn unpack_quantised(onnx: &[u8]) -> Result<Option<Vec<u8>>, prost::DecodeError> {
    let mut model = ModelProto::decode(onnx)?;
    let Some(graph) = model.graph.as_mut() else {
        return Ok(None);
    };
    let matrices = scaled_matrices(graph);
    if matrices.is_empty() {
        return Ok(None);
    }
    rewrite(graph, &matrices);
    Ok(Some(model.encode_to_vec()))
}

/// A stored matrix and the two nodes that scale it: indexes into initializers and nodes.
#[derive(Debug)]
struct ScaledMatrix {
    matrix: usize,
    scale: usize,
    cast: usize,
    mul: usize,
    /// The lookup, where that is all that reads it.
    gather: Option<usize>,
}

fn scaled_matrices(graph: &GraphProto) -> Vec<ScaledMatrix> {
    let stored: HashMap<&str, usize> = graph
        .initializer
        .iter()
        .enumerate()
        .map(|(i, t)| (t.name.as_str(), i))
        .collect();
    let producers: HashMap<&str, usize> = graph
        .node
        .iter()
        .enumerate()
        .flat_map(|(index, node)| node.output.iter().map(move |name| (name.as_str(), index)))
        .collect();
    let mut readers: HashMap<&str, Vec<Option<usize>>> = HashMap::new();
    for (index, node) in graph.node.iter().enumerate() {
        for name in &node.input {
            readers.entry(name).or_default().push(Some(index));
        }
    }
    // Who takes the graph's outputs is no node.
    for output in &graph.output {
        readers.entry(&output.name).or_default().push(None);
    }
    let sole_reader = |name: &str| match readers.get(name).map(Vec::as_slice) {
        Some([Some(index)]) => Some(*index),
        _ => None,
    };

    let scaled = |(mul, node): (usize, &NodeProto)| {
        let [left, right] = node.input.as_slice() else {
            return None;
        };
        let (product, cast, scale) = [(left, right), (right, left)].iter().find_map(|(a, b)| {
            let cast = *producers.get(a.as_str())?;
            (graph.node[cast].op_type == "Cast" && sole_reader(a) == Some(mul)).then_some((
                node.output.first()?,
                cast,
                *stored.get(b.as_str())?,
            ))
        })?;
        let matrix = *stored.get(graph.node[cast].input.first()?.as_str())?;
        let (values, factors) = (&graph.initializer[matrix], &graph.initializer[scale]);
        let [rows, columns] = *values.dims.as_slice() else {
            return None;
        };
        let len = usize::try_from(rows.checked_mul(columns)?).ok()?;
        let whole = values.data_type == DataType::Int8 as i32
            && values.raw_data.len() == len
            && factors.data_type == DataType::Float as i32
            && factors.raw_data.len() as i64 == 4 * factors.dims.iter().product::<i64>();
        let by_row = factors.dims == [rows, 1];
        if !whole || !(by_row || factors.dims == [1, columns]) {
            return None;
        }
        let gather = sole_reader(product).filter(|&index| {
            let reader = &graph.node[index];
            by_row
                && reader.op_type == "Gather"
                && reader.input.first() == Some(product)
                && reader.input.len() == 2
                && reader
                    .attribute
                    .iter()
                    .all(|a| a.name != "axis" || a.i == 0)
        });
        Some(ScaledMatrix {
            matrix,
            scale,
            cast,
            mul,
            gather,
        })
    };
    graph
        .node
        .iter()
        .enumerate()
        .filter(|(_, n)| n.op_type == "Mul")
        .filter_map(scaled)
        .collect()
}

fn rewrite(graph: &mut GraphProto, matrices: &[ScaledMatrix]) {
    let mut lookups: HashMap<usize, [NodeProto; 4]> = HashMap::new();
    let mut gone: HashSet<usize> = HashSet::new();
    let mut floats: Vec<(usize, TensorProto)> = Vec::new();
    for found in matrices {
        gone.extend([found.cast, found.mul]);
        match found.gather {
            Some(gather) => {
                lookups.insert(gather, rows_first(graph, found, gather));
            }
            None => floats.push((found.matrix, multiplied(graph, found))),
        }
    }
    // A matrix that something else reads, too, stays beside its floats.
    for (index, tensor) in floats {
        let read_elsewhere =
            graph.node.iter().enumerate().any(|(i, n)| {
                !gone.contains(&i) && n.input.contains(&graph.initializer[index].name)
            }) || matrices
                .iter()
                .filter(|other| other.matrix == index)
                .count()
                > 1;
        if read_elsewhere {
            graph.initializer.push(tensor);
        } else {
            graph.initializer[index] = tensor;
        }
    }
    let old = std::mem::take(&mut graph.node);
    for (index, node) in old.into_iter().enumerate() {
        match lookups.remove(&index) {
            Some(nodes) => graph.node.extend(nodes),
            None if gone.contains(&index) => {}
            None => graph.node.push(node),
        }
    }
}

/// The four nodes that stand where a lookup stood, in the order of their reading.
fn rows_first(graph: &GraphProto, found: &ScaledMatrix, gather: usize) -> [NodeProto; 4] {
    let gather = &graph.node[gather];
    let ids = &gather.input[1];
    let result = &gather.output[0];
    let gather_from = |table: usize, suffix: &str| NodeProto {
        name: format!("{}_{suffix}", gather.name),
        input: vec![graph.initializer[table].name.clone(), ids.clone()],
        output: vec![format!("{result}_{suffix}")],
        ..gather.clone()
    };
    let rows = gather_from(found.matrix, "rows");
    let scales = gather_from(found.scale, "scales");
    let cast = NodeProto {
        input: rows.output.clone(),
        output: vec![format!("{result}_cast")],
        ..graph.node[found.cast].clone()
    };
    let mul = NodeProto {
        input: vec![cast.output[0].clone(), scales.output[0].clone()],
        output: gather.output.clone(),
        ..graph.node[found.mul].clone()
    };
    [rows, scales, cast, mul]
}

/// The float matrix, under the name of the product.
fn multiplied(graph: &GraphProto, found: &ScaledMatrix) -> TensorProto {
    let (values, factors) = (
        &graph.initializer[found.matrix],
        &graph.initializer[found.scale],
    );
    let scales: Vec<f32> = factors
        .raw_data
        .chunks_exact(4)
        .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
        .collect();
    let columns = usize::try_from(values.dims[1]).unwrap_or(1).max(1);
    // As in `scaled_matrices`: a square matrix with a column of scales has one a row.
    let by_row = factors.dims[1] == 1 && factors.dims[0] == values.dims[0];
    let mut raw_data = Vec::with_capacity(values.raw_data.len() * 4);
    for (row, bytes) in values.raw_data.chunks_exact(columns).enumerate() {
        for (column, &byte) in bytes.iter().enumerate() {
            let scale = if by_row { scales[row] } else { scales[column] };
            raw_data.extend_from_slice(&(f32::from(byte.cast_signed()) * scale).to_le_bytes());
        }
    }
    TensorProto {
        name: graph.node[found.mul].output[0].clone(),
        dims: values.dims.clone(),
        data_type: DataType::Float as i32,
        raw_data,
        ..TensorProto::default()
    }
}

#[cfg(test)]
mod tests {
    use tract_onnx::{
        pb::{
            AttributeProto, OperatorSetIdProto, TypeProto, ValueInfoProto,
            attribute_proto::AttributeType, type_proto,
        },
        prelude::*,
    };

    use super::*;

    fn node(op: &str, input: &[&str], output: &str) -> NodeProto {
        NodeProto {
            op_type: op.into(),
            name: format!("node_{output}"),
            input: input.iter().map(|name| (*name).to_owned()).collect(),
            output: vec![output.to_owned()],
            ..NodeProto::default()
        }
    }

    fn to_float(input: &str, output: &str) -> NodeProto {
        let to = AttributeProto {
            name: "to".into(),
            r#type: AttributeType::Int as i32,
            i: DataType::Float as i64,
            ..AttributeProto::default()
        };
        NodeProto {
            attribute: vec![to],
            ..node("Cast", &[input], output)
        }
    }

    fn stored(name: &str, data_type: DataType, dims: [i64; 2], raw_data: Vec<u8>) -> TensorProto {
        TensorProto {
            name: name.into(),
            data_type: data_type as i32,
            dims: dims.to_vec(),
            raw_data,
            ..TensorProto::default()
        }
    }

    fn floats(values: &[f32]) -> Vec<u8> {
        values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect()
    }

    fn ids_input() -> ValueInfoProto {
        let tensor = type_proto::Tensor {
            elem_type: DataType::Int64 as i32,
            shape: None,
        };
        let value = Some(type_proto::Value::TensorType(tensor));
        ValueInfoProto {
            name: "ids".into(),
            r#type: Some(TypeProto {
                value,
                ..TypeProto::default()
            }),
            ..ValueInfoProto::default()
        }
    }

    /// `lookup(ids) × weights`, with both matrices in int8: the table scaled by rows, the weights
    /// by columns.
    fn quantised() -> ModelProto {
        let table: Vec<u8> = [1_i8, -2, 3, 127, -128, 0].map(i8::cast_unsigned).to_vec();
        let weights: Vec<u8> = [5_i8, -6, 7, 8].map(i8::cast_unsigned).to_vec();
        ModelProto {
            ir_version: 8,
            opset_import: vec![OperatorSetIdProto {
                domain: String::new(),
                version: 17,
            }],
            graph: Some(GraphProto {
                node: vec![
                    to_float("table", "table_float"),
                    node("Mul", &["table_float", "table_scale"], "table_scaled"),
                    to_float("weights", "weights_float"),
                    node("Mul", &["weights_scale", "weights_float"], "weights_scaled"),
                    node("Gather", &["table_scaled", "ids"], "rows"),
                    node("MatMul", &["rows", "weights_scaled"], "result"),
                ],
                initializer: vec![
                    stored("table", DataType::Int8, [3, 2], table),
                    stored(
                        "table_scale",
                        DataType::Float,
                        [3, 1],
                        floats(&[0.5, 0.25, 2.0]),
                    ),
                    stored("weights", DataType::Int8, [2, 2], weights),
                    stored(
                        "weights_scale",
                        DataType::Float,
                        [1, 2],
                        floats(&[0.1, 10.0]),
                    ),
                ],
                input: vec![ids_input()],
                output: vec![ValueInfoProto {
                    name: "result".into(),
                    ..ValueInfoProto::default()
                }],
                ..GraphProto::default()
            }),
            ..ModelProto::default()
        }
    }

    fn run(onnx: &[u8]) -> Vec<f32> {
        let outputs = tract_onnx::onnx()
            .model_for_read(&mut &*onnx)
            .unwrap()
            .with_input_fact(0, i64::fact([3]).into())
            .unwrap()
            .into_optimized()
            .unwrap()
            .into_runnable()
            .unwrap()
            .run(tvec!(tensor1(&[2_i64, 0, 1]).into()))
            .unwrap();
        outputs[0]
            .try_as_plain_ram()
            .unwrap()
            .as_slice::<f32>()
            .unwrap()
            .to_vec()
    }

    #[test]
    fn the_rewritten_graph_gives_the_same_numbers() {
        let before = quantised().encode_to_vec();
        let after = unpack_quantised(&before).unwrap().unwrap();
        let result = run(&after);
        assert_eq!(result, run(&before));
        // Row 2 of the table is (-128, 0) × 2; the weights' columns are (5, 7) × 0.1, (-6, 8) × 10.
        assert_eq!(result[..2], [-256.0 * (5.0 * 0.1), -256.0 * -60.0]);
    }

    #[test]
    fn tables_stay_small_and_weights_become_floats() {
        let after = unpack_quantised(&quantised().encode_to_vec())
            .unwrap()
            .unwrap();
        let graph = ModelProto::decode(&after[..]).unwrap().graph.unwrap();
        let ops: Vec<&str> = graph
            .node
            .iter()
            .map(|node| node.op_type.as_str())
            .collect();
        assert_eq!(ops, ["Gather", "Gather", "Cast", "Mul", "MatMul"]);
        let kept: Vec<&str> = graph.initializer.iter().map(|t| t.name.as_str()).collect();
        assert_eq!(
            kept,
            ["table", "table_scale", "weights_scaled", "weights_scale"]
        );
    }

    #[test]
    fn a_table_that_is_also_read_whole_becomes_floats() {
        let mut model = quantised();
        let graph = model.graph.as_mut().unwrap();
        graph.output.push(ValueInfoProto {
            name: "table_scaled".into(),
            ..Default::default()
        });
        let after = unpack_quantised(&model.encode_to_vec()).unwrap().unwrap();
        let graph = ModelProto::decode(&after[..]).unwrap().graph.unwrap();
        assert!(
            graph
                .initializer
                .iter()
                .any(|tensor| tensor.name == "table_scaled")
        );
        assert_eq!(graph.node.len(), 2);
    }

    #[test]
    fn a_graph_without_quantised_matrices_is_left_alone() {
        let mut model = quantised();
        model.graph.as_mut().unwrap().initializer[0].data_type = DataType::Uint8 as i32;
        model.graph.as_mut().unwrap().initializer[2].data_type = DataType::Uint8 as i32;
        assert!(unpack_quantised(&model.encode_to_vec()).unwrap().is_none());
    }

    #[test]
    fn what_is_no_model_is_refused() {
        assert!(unpack_quantised(b"no protobuf at all").is_err());
    }
}
