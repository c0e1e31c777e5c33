//! Vectors in two bits a number, for a first look at all of them.
//!
//! Each number becomes one of four levels, an equal step apart (J. Max, "Quantizing for minimum
//! distortion", 1960: the best step for a bell curve is 0.9957 of its deviation). The estimate of
//! a product is made unbiased by a factor a vector, as in RaBitQ (Gao and Long, 2024). A quarter of
//! the bytes of 8-bit numbers, and reading is what a scan costs; what the estimate puts just
//! outside is brought back by computing many more than wanted exactly (`speakr-bench index`
//! tells how many that finds).

use simsimd::SpatialSimilarity;

/// The step between levels, in deviations of the vector's numbers.
const STEP: f32 = 0.9957;

/// Numbers in a byte.
const PER_BYTE: usize = 4;

/// Bytes of a coded vector of `dimensions` numbers.
pub(crate) fn width(dimensions: usize) -> usize {
    dimensions.div_ceil(PER_BYTE)
}

/// A vector as levels, and what to multiply products with them by.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Coded {
    /// Byte `i` holds the numbers `i`, `i + width`, `i + 2·width`, `i + 3·width`, the first lowest.
    pub(crate) codes: Vec<u8>,
    /// `product ≈ scale · Σ query · (2·level − 3)`.
    pub(crate) scale: f32,
}

/// Codes `vector`. One of zeros, or with a number that is none, is equally far from everything.
pub(crate) fn encode(vector: &[f32]) -> Coded {
    let width = width(vector.len());
    let mut codes = vec![0; width];
    let square: f32 = vector.iter().map(|v| v * v).sum();
    let step = (square / vector.len().max(1) as f32).sqrt() * STEP;
    if step <= 0.0 || !step.is_finite() {
        return Coded { codes, scale: 0.0 };
    }
    let mut along = 0.0;
    for (i, value) in vector.iter().enumerate() {
        let level = (value / step + 2.0).floor().clamp(0.0, 3.0);
        along += value * (2.0 * level - 3.0);
        codes[i % width] |= (level as u8) << (2 * (i / width));
    }
    Coded {
        codes,
        scale: square / along,
    }
}

/// A query that is compared with many coded vectors.
pub(crate) struct Query {
    codes: Vec<i8>,
    scale: f32,
    sum: i32,
    levels: Vec<i8>,
}

impl Query {
    /// Of the same number of dimensions as the vectors.
    pub(crate) fn new(vector: &[f32]) -> Self {
        let padded = width(vector.len()) * PER_BYTE;
        let max = vector.iter().fold(0.0_f32, |max, v| max.max(v.abs()));
        let scale = if max.is_finite() { max / 127.0 } else { 0.0 };
        let mut codes = vec![0; padded];
        if scale > 0.0 {
            for (code, value) in codes.iter_mut().zip(vector) {
                *code = (value / scale).round() as i8;
            }
        }
        Self {
            sum: codes.iter().map(|c| i32::from(*c)).sum(),
            scale,
            levels: vec![0; padded],
            codes,
        }
    }

    /// Bytes of a coded vector that it can be compared with.
    pub(crate) fn width(&self) -> usize {
        self.codes.len() / PER_BYTE
    }

    /// About the product with a coded vector of [`width`](Self::width) bytes.
    pub(crate) fn product(&mut self, codes: &[u8], scale: f32) -> f32 {
        unpack(codes, &mut self.levels);
        let levels = i8::dot(&self.codes, &self.levels).unwrap_or(0.0) as f32;
        self.scale * scale * (2.0 * levels - 3.0 * self.sum as f32)
    }
}

/// The levels of `codes`. Eight bytes at a time: a processor has no shift for single ones.
fn unpack(codes: &[u8], levels: &mut [i8]) {
    const WORD: usize = 8;
    const LOWEST: u64 = 0x0303_0303_0303_0303;
    for (part, levels) in levels.chunks_exact_mut(codes.len()).enumerate() {
        let shift = 2 * part;
        let (words, rest) = codes.as_chunks::<WORD>();
        let (levels, last) = levels.as_chunks_mut::<WORD>();
        for (eight, word) in levels.iter_mut().zip(words) {
            *eight = ((u64::from_le_bytes(*word) >> shift) & LOWEST)
                .to_le_bytes()
                .map(u8::cast_signed);
        }
        for (level, byte) in last.iter_mut().zip(rest) {
            *level = ((byte >> shift) & 3).cast_signed();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors of unit length that look random.
    fn vector(seed: u64, dimensions: usize) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        };
        let numbers: Vec<f32> = (0..dimensions)
            .map(|_| {
                let bits = next();
                let sum: f32 = (0..4).map(|i| f32::from((bits >> (i * 16)) as u16)).sum();
                sum - 131_070.0
            })
            .collect();
        let length = numbers.iter().map(|v| v * v).sum::<f32>().sqrt();
        numbers.iter().map(|v| v / length).collect()
    }

    #[test]
    fn estimates_are_unbiased_and_near() {
        for dimensions in [384, 383, 768] {
            let mut query = Query::new(&vector(1, dimensions));
            let exact = vector(1, dimensions);
            let errors: Vec<f32> = (2..1_002)
                .map(|seed| {
                    // From quite alike to not at all.
                    let other = vector(seed, dimensions);
                    let share = (seed % 10) as f32 / 10.0;
                    let mixed: Vec<f32> = exact
                        .iter()
                        .zip(&other)
                        .map(|(a, b)| share * a + (1.0 - share) * b)
                        .collect();
                    let length = mixed.iter().map(|v| v * v).sum::<f32>().sqrt();
                    let mixed: Vec<f32> = mixed.iter().map(|v| v / length).collect();
                    let product: f32 = exact.iter().zip(&mixed).map(|(a, b)| a * b).sum();
                    let coded = encode(&mixed);
                    assert_eq!(coded.codes.len(), query.width());
                    query.product(&coded.codes, coded.scale) - product
                })
                .collect();
            let mean = errors.iter().sum::<f32>() / errors.len() as f32;
            let deviation =
                (errors.iter().map(|e| e * e).sum::<f32>() / errors.len() as f32).sqrt();
            // Max's table: a distortion of 0.1188, so √(0.1188/384) ≈ 0.018 at most.
            assert!(mean.abs() < 0.003, "{dimensions}: {mean}");
            assert!(deviation < 0.02, "{dimensions}: {deviation}");
        }
    }

    #[test]
    fn zeros_and_what_is_no_number_are_coded_without_harm() {
        for vector in [
            vec![0.0; 384],
            vec![f32::NAN; 384],
            vec![f32::INFINITY; 5],
            Vec::new(),
        ] {
            let coded = encode(&vector);
            assert_eq!(coded.scale, 0.0);
            let mut query = Query::new(&vector);
            if !vector.is_empty() {
                assert_eq!(query.product(&coded.codes, coded.scale), 0.0);
            }
        }
    }
}
