//! The few layers that Silero VAD is made of, in single precision.
//!
//! Weights are kept input-major, so that each input value adds a scaled row to the outputs: the
//! inner loops have no dependency between steps and become vector code without fast-math.

/// Adds `scale × row` to `sum`.
fn add_scaled(sum: &mut [f32], row: &[f32], scale: f32) {
    for (s, w) in sum.iter_mut().zip(row) {
        *s += w * scale;
    }
}

/// A one-dimensional convolution with zero padding.
#[derive(Debug)]
pub(super) struct Conv {
    /// `[tap][input][output]`.
    weight: Vec<f32>,
    bias: Vec<f32>,
    inputs: usize,
    outputs: usize,
    taps: usize,
    stride: usize,
    padding: usize,
}

impl Conv {
    /// A layer of `(inputs, outputs, taps)` from ggml's order, `[output][input][tap]`.
    pub(super) fn new(
        ggml: &[f32],
        bias: Vec<f32>,
        (inputs, outputs, taps): (usize, usize, usize),
        stride: usize,
        padding: usize,
    ) -> Self {
        let mut weight = vec![0.0; ggml.len()];
        for (i, &value) in ggml.iter().enumerate() {
            let tap = i % taps;
            let input = i / taps % inputs;
            let output = i / (taps * inputs);
            weight[(tap * inputs + input) * outputs + output] = value;
        }
        Self {
            weight,
            bias,
            inputs,
            outputs,
            taps,
            stride,
            padding,
        }
    }

    /// How many channels come out.
    pub(super) const fn outputs(&self) -> usize {
        self.outputs
    }

    /// Runs over `x` (`[time][input]`) and leaves `[time][output]` in `y`.
    pub(super) fn run(&self, x: &[f32], y: &mut Vec<f32>) {
        let times = x.len() / self.inputs;
        let steps = (times + 2 * self.padding - self.taps) / self.stride + 1;
        y.clear();
        for step in 0..steps {
            let from = y.len();
            y.extend_from_slice(&self.bias);
            let sum = &mut y[from..];
            for tap in 0..self.taps {
                let Some(time) = (step * self.stride + tap).checked_sub(self.padding) else {
                    continue;
                };
                if time >= times {
                    continue;
                }
                let values = &x[time * self.inputs..(time + 1) * self.inputs];
                let rows =
                    self.weight[tap * self.inputs * self.outputs..].chunks_exact(self.outputs);
                for (&value, row) in values.iter().zip(rows) {
                    add_scaled(sum, row, value);
                }
            }
        }
    }
}

/// Rectifies in place.
pub(super) fn relu(x: &mut [f32]) {
    for v in x {
        *v = v.max(0.0);
    }
}

/// The logistic function.
pub(super) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// A long short-term memory cell; gates in PyTorch's order: input, forget, cell, output.
#[derive(Debug)]
pub(super) struct Lstm {
    /// `[input or state][gate]`: the input's rows, then the state's.
    weight: Vec<f32>,
    bias: Vec<f32>,
    hidden: usize,
}

/// What an [`Lstm`] remembers.
#[derive(Debug, Clone)]
pub(super) struct LstmState {
    pub(super) hidden: Vec<f32>,
    cell: Vec<f32>,
}

impl LstmState {
    /// Nothing heard yet.
    pub(super) fn new(hidden: usize) -> Self {
        Self {
            hidden: vec![0.0; hidden],
            cell: vec![0.0; hidden],
        }
    }
}

impl Lstm {
    /// A cell from PyTorch's order, `[gate][input]` and `[gate][state]`.
    pub(super) fn new(ih: &[f32], hh: &[f32], bias_ih: &[f32], bias_hh: &[f32]) -> Self {
        let gates = bias_ih.len();
        let hidden = gates / 4;
        let mut weight = vec![0.0; ih.len() + hh.len()];
        for gate in 0..gates {
            for i in 0..hidden {
                weight[i * gates + gate] = ih[gate * hidden + i];
                weight[(hidden + i) * gates + gate] = hh[gate * hidden + i];
            }
        }
        let bias = bias_ih.iter().zip(bias_hh).map(|(a, b)| a + b).collect();
        Self {
            weight,
            bias,
            hidden,
        }
    }

    /// The size of its state.
    pub(super) const fn hidden(&self) -> usize {
        self.hidden
    }

    /// One step: takes `x` in and moves `state` on. `gates` is scratch space.
    pub(super) fn step(&self, x: &[f32], state: &mut LstmState, gates: &mut Vec<f32>) {
        gates.clear();
        gates.extend_from_slice(&self.bias);
        let rows = self.weight.chunks_exact(self.hidden * 4);
        for (&value, row) in x.iter().chain(&state.hidden).zip(rows) {
            add_scaled(gates, row, value);
        }
        let n = self.hidden;
        for i in 0..n {
            let cell =
                sigmoid(gates[n + i]) * state.cell[i] + sigmoid(gates[i]) * gates[2 * n + i].tanh();
            state.cell[i] = cell;
            state.hidden[i] = sigmoid(gates[3 * n + i]) * cell.tanh();
        }
    }
}
