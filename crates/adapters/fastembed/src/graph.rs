//! A change to quantised graphs before they run: look rows up first, then scale only those.
//!
//! An int8 model keeps its word table as integers with one scale a row, and its graph turns the
//! whole table (30,522 × 384 for MiniLM) into floats before it takes the few rows that a text
//! needs. tract folds constants of up to 4 MiB when it loads a graph; the word table is larger,
//! so all of it would be converted again for each text: most of the time of a sentence. The same
//! numbers come out when the rows are taken first.

use std::collections::HashMap;

use prost::Message;
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, tensor_proto::DataType};

/// Rewrites every lookup in a table that is cast and scaled first. `None` where there is none.
///
/// `Gather(Mul(Cast(table), scale), ids)` becomes `Mul(Cast(Gather(table, ids)), Gather(scale,
/// ids))`, where `table` is a stored matrix of int8, `scale` a stored float column of as many
/// rows, and nothing else reads what lies between.
pub(crate) fn look_up_before_scaling(onnx: &[u8]) -> Result<Option<Vec<u8>>, prost::DecodeError> {
    let mut model = ModelProto::decode(onnx)?;
    let Some(graph) = model.graph.as_mut() else {
        return Ok(None);
    };
    let lookups = scaled_lookups(graph);
    if lookups.is_empty() {
        return Ok(None);
    }
    let mut nodes = Vec::with_capacity(graph.node.len() + 2 * lookups.len());
    for (index, node) in graph.node.iter().enumerate() {
        if let Some(lookup) = lookups.iter().find(|lookup| lookup.gather == index) {
            nodes.extend(lookup.rewritten(graph));
        } else if !lookups
            .iter()
            .any(|lookup| lookup.cast == index || lookup.mul == index)
        {
            nodes.push(node.clone());
        }
    }
    graph.node = nodes;
    Ok(Some(model.encode_to_vec()))
}

/// One lookup to rewrite: indexes into the graph's nodes, and names of stored tensors.
#[derive(Debug)]
struct ScaledLookup {
    gather: usize,
    cast: usize,
    mul: usize,
    table: String,
    scale: String,
}

impl ScaledLookup {
    /// The four nodes that stand where the lookup stood, in the order of their reading.
    fn rewritten(&self, graph: &GraphProto) -> [NodeProto; 4] {
        let gather = &graph.node[self.gather];
        let ids = &gather.input[1];
        let result = &gather.output[0];
        let gather_from = |table: &str, suffix: &str| NodeProto {
            name: format!("{}_{suffix}", gather.name),
            input: vec![table.to_owned(), ids.clone()],
            output: vec![format!("{result}_{suffix}")],
            ..gather.clone()
        };
        let rows = gather_from(&self.table, "rows");
        let scales = gather_from(&self.scale, "scales");
        let cast = NodeProto {
            input: rows.output.clone(),
            output: vec![format!("{result}_cast")],
            ..graph.node[self.cast].clone()
        };
        let mul = NodeProto {
            input: vec![cast.output[0].clone(), scales.output[0].clone()],
            output: gather.output.clone(),
            ..graph.node[self.mul].clone()
        };
        [rows, scales, cast, mul]
    }
}

/// All lookups of that form.
fn scaled_lookups(graph: &GraphProto) -> Vec<ScaledLookup> {
    let producers: HashMap<&str, usize> = graph
        .node
        .iter()
        .enumerate()
        .flat_map(|(index, node)| node.output.iter().map(move |name| (name.as_str(), index)))
        .collect();
    let mut readers: HashMap<&str, usize> = HashMap::new();
    let inputs = graph.node.iter().flat_map(|node| &node.input);
    for name in inputs.chain(graph.output.iter().map(|output| &output.name)) {
        *readers.entry(name).or_default() += 1;
    }
    let stored: HashMap<&str, (i32, &[i64])> = graph
        .initializer
        .iter()
        .map(|tensor| {
            (
                tensor.name.as_str(),
                (tensor.data_type, tensor.dims.as_slice()),
            )
        })
        .collect();
    let read_once = |name: &str| readers.get(name) == Some(&1);
    let made_by = |name: &str, op: &str| {
        let index = *producers.get(name)?;
        (graph.node[index].op_type == op && read_once(name)).then_some(index)
    };

    let mut found = Vec::new();
    for (gather, node) in graph.node.iter().enumerate() {
        let by_rows = node.attribute.iter().all(|a| a.name != "axis" || a.i == 0);
        if node.op_type != "Gather" || node.input.len() != 2 || !by_rows {
            continue;
        }
        let Some(mul) = made_by(&node.input[0], "Mul") else {
            continue;
        };
        let [left, right] = graph.node[mul].input.as_slice() else {
            continue;
        };
        let Some((cast, scale)) = made_by(left, "Cast")
            .map(|cast| (cast, right))
            .or_else(|| made_by(right, "Cast").map(|cast| (cast, left)))
        else {
            continue;
        };
        let [table] = graph.node[cast].input.as_slice() else {
            continue;
        };
        let int8_rows = match stored.get(table.as_str()) {
            Some((data_type, [rows, _])) if *data_type == DataType::Int8 as i32 => *rows,
            _ => continue,
        };
        match stored.get(scale.as_str()) {
            Some((data_type, [rows, 1]))
                if *data_type == DataType::Float as i32 && *rows == int8_rows => {}
            _ => continue,
        }
        found.push(ScaledLookup {
            gather,
            cast,
            mul,
            table: table.clone(),
            scale: scale.clone(),
        });
    }
    found
}
