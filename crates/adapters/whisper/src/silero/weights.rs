//! Reads Silero VAD from whisper.cpp's model file.
//!
//! The file's layout is the one that whisper.cpp's `whisper_vad_init_with_params` reads: a magic
//! number, the model's name and version, its sizes, then named tensors in half or single
//! precision.

use std::collections::HashMap;

use half::f16;

use super::layers::{Conv, Lstm};

/// `ggml` in ASCII, as every file of that family begins.
const MAGIC: u32 = 0x6767_6d6c;
/// The tensor types that occur in the file.
const TYPE_F32: i32 = 0;
const TYPE_F16: i32 = 1;
/// Sizes beyond this are no Silero model but a damaged file.
const MAX_ELEMENTS: usize = 1 << 20;

/// Why a file isn't a Silero model that can be used.
#[derive(Debug, thiserror::Error)]
pub enum SileroModelError {
    /// The file can't be read.
    #[error("can't read the voice activity model {path}")]
    Unreadable {
        /// Which file.
        path: String,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// It is another kind of file.
    #[error("this is no ggml voice activity model: {0}")]
    NotAModel(&'static str),
    /// It ends too early, or holds impossible sizes.
    #[error("the voice activity model is damaged at byte {offset}: {what}")]
    Damaged {
        /// Where.
        offset: usize,
        /// What was expected there.
        what: String,
    },
}

/// The network's weights, laid out for the passes of [`super::layers`].
#[derive(Debug)]
pub(super) struct Weights {
    /// Samples that a frame adds.
    pub(super) window: usize,
    /// Samples of the frame before that it sees again.
    pub(super) context: usize,
    /// The short-time Fourier transform as a convolution over the samples.
    pub(super) stft: Conv,
    pub(super) encoder: Vec<Conv>,
    pub(super) lstm: Lstm,
    pub(super) head: Vec<f32>,
    pub(super) head_bias: f32,
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn damaged(&self, what: impl Into<String>) -> SileroModelError {
        SileroModelError::Damaged {
            offset: self.at,
            what: what.into(),
        }
    }

    fn take(&mut self, len: usize, what: &str) -> Result<&'a [u8], SileroModelError> {
        let end = self.at.checked_add(len).filter(|&e| e <= self.bytes.len());
        let Some(end) = end else {
            return Err(self.damaged(format!("{what} is cut off")));
        };
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn int(&mut self, what: &str) -> Result<i32, SileroModelError> {
        let b = self.take(4, what)?;
        Ok(i32::from_le_bytes([b[0], b[1], b[2], b[3]]))
    }

    fn size(&mut self, what: &str) -> Result<usize, SileroModelError> {
        let value = self.int(what)?;
        usize::try_from(value)
            .ok()
            .filter(|&v| v <= MAX_ELEMENTS)
            .ok_or_else(|| self.damaged(format!("{what} of {value}")))
    }
}

type Tensors = HashMap<String, Vec<f32>>;

fn read_tensors(reader: &mut Reader<'_>) -> Result<Tensors, SileroModelError> {
    let mut tensors = HashMap::new();
    while reader.at < reader.bytes.len() {
        let dimensions = reader.size("number of dimensions")?;
        let name_len = reader.size("length of a name")?;
        let kind = reader.int("type of a tensor")?;
        let mut elements = 1_usize;
        for _ in 0..dimensions {
            elements = elements.saturating_mul(reader.size("dimension")?);
        }
        if elements > MAX_ELEMENTS {
            return Err(reader.damaged(format!("a tensor of {elements} elements")));
        }
        let name = String::from_utf8_lossy(reader.take(name_len, "name")?).into_owned();
        let values = match kind {
            TYPE_F32 => reader
                .take(elements * 4, &name)?
                .chunks_exact(4)
                .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                .collect(),
            TYPE_F16 => reader
                .take(elements * 2, &name)?
                .chunks_exact(2)
                .map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32())
                .collect(),
            other => return Err(reader.damaged(format!("tensor type {other} of {name}"))),
        };
        tensors.insert(name, values);
    }
    Ok(tensors)
}

fn tensor(tensors: &mut Tensors, name: &str, len: usize) -> Result<Vec<f32>, SileroModelError> {
    let values = tensors
        .remove(name)
        .ok_or_else(|| SileroModelError::Damaged {
            offset: 0,
            what: format!("tensor {name} is missing"),
        })?;
    if values.len() == len {
        Ok(values)
    } else {
        Err(SileroModelError::Damaged {
            offset: 0,
            what: format!("tensor {name} has {} values, not {len}", values.len()),
        })
    }
}

impl Weights {
    /// Reads the model file's bytes.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, SileroModelError> {
        let mut reader = Reader { bytes, at: 0 };
        if bytes.len() < 4 || reader.int("magic number")?.cast_unsigned() != MAGIC {
            return Err(SileroModelError::NotAModel("wrong magic number"));
        }
        let name_len = reader.size("length of the model's name")?;
        if reader.take(name_len, "the model's name")? != b"silero-16k" {
            return Err(SileroModelError::NotAModel("not Silero at 16 kHz"));
        }
        for part in ["major", "minor", "patch"] {
            reader.int(part)?;
        }
        let window = reader.size("window")?;
        let context = reader.size("context")?;
        let layers = reader.size("number of layers")?;
        let mut shapes = Vec::new();
        for _ in 0..layers {
            let input = reader.size("channels in")?;
            let output = reader.size("channels out")?;
            let kernel = reader.size("kernel size")?;
            shapes.push((input, output, kernel));
        }
        let lstm_input = reader.size("LSTM input")?;
        let hidden = reader.size("LSTM state")?;
        let head_len = reader.size("head input")?;
        reader.int("head output")?;
        let known = [(129, 128, 3), (128, 64, 3), (64, 64, 3), (64, 128, 3)];
        if (window, context, lstm_input, hidden, head_len) != (512, 64, 128, 128, 128)
            || shapes != known
        {
            return Err(SileroModelError::NotAModel(
                "another network than Silero 5/6",
            ));
        }

        let mut tensors = read_tensors(&mut reader)?;
        let t = &mut tensors;
        let basis = tensor(t, "_model.stft.forward_basis_buffer", 256 * 258)?;
        // Hop 128: a quarter of the window, as the published network has it.
        let stft = Conv::new(&basis, vec![0.0; 258], (1, 258, 256), 128, 0);
        let mut encoder = Vec::new();
        for (i, (&shape, stride)) in shapes.iter().zip([1, 2, 2, 1]).enumerate() {
            let prefix = format!("_model.encoder.{i}.reparam_conv");
            let (input, output, kernel) = shape;
            let weight = tensor(t, &format!("{prefix}.weight"), input * output * kernel)?;
            let bias = tensor(t, &format!("{prefix}.bias"), output)?;
            encoder.push(Conv::new(&weight, bias, shape, stride, 1));
        }
        let gates = hidden * 4;
        let lstm = Lstm::new(
            &tensor(t, "_model.decoder.rnn.weight_ih", hidden * gates)?,
            &tensor(t, "_model.decoder.rnn.weight_hh", hidden * gates)?,
            &tensor(t, "_model.decoder.rnn.bias_ih", gates)?,
            &tensor(t, "_model.decoder.rnn.bias_hh", gates)?,
        );
        let head = tensor(t, "_model.decoder.decoder.2.weight", hidden)?;
        let head_bias = tensor(t, "_model.decoder.decoder.2.bias", 1)?[0];
        Ok(Self {
            window,
            context,
            stft,
            encoder,
            lstm,
            head,
            head_bias,
        })
    }
}
