//! Which instructions the engine needs of the processor.

/// What to do where the processor is too old. Releases have a build for older ones, for Linux; where
/// that is this one, it is too new still.
pub const FOR_OLDER_PROCESSORS: &str = if cfg!(target_os = "linux") && !FOR_OLDER {
    "take the build for older ones, speakr-x86_64-linux-musl-baseline (docs/installation.md)"
} else {
    "build speakr with GGML_AVX2 and its neighbours OFF (.cargo/config.toml)"
};
/// Whether this is that build.
const FOR_OLDER: bool =
    matches!(option_env!("GGML_AVX2"), Some(value) if matches!(value.as_bytes(), b"OFF"));

/// The instruction sets that this build's engine uses and this processor lacks; empty when all is
/// well. Cheap, and free of any engine code: call it before a model is loaded, because the engine
/// itself would die of an illegal instruction.
#[must_use]
pub fn missing_features() -> Vec<&'static str> {
    #[cfg(target_arch = "x86_64")]
    {
        // What whisper.cpp is compiled with: .cargo/config.toml, or the environment of the build.
        macro_rules! needed {
            ($($variable:literal, $name:literal, $feature:tt;)*) => {
                [$((
                    $name,
                    option_env!($variable) != Some("OFF"),
                    std::arch::is_x86_feature_detected!($feature),
                )),*]
            };
        }
        needed! {
            "GGML_SSE42", "SSE4.2", "sse4.2";
            "GGML_AVX", "AVX", "avx";
            "GGML_AVX2", "AVX2", "avx2";
            "GGML_FMA", "FMA", "fma";
            "GGML_F16C", "F16C", "f16c";
            "GGML_BMI2", "BMI2", "bmi2";
        }
        .into_iter()
        .filter_map(|(name, compiled_in, there)| (compiled_in && !there).then_some(name))
        .collect()
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_that_runs_the_engine_lacks_nothing() {
        // These tests run the engine itself, so whatever it needs must be here.
        assert_eq!(missing_features(), Vec::<&str>::new());
    }
}
