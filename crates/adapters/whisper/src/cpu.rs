//! Which instructions the engine needs of the processor.

/// The instruction sets that this build's engine uses and this processor lacks; empty when all is
/// well. Cheap, and free of any engine code: call it before a model is loaded, because the engine
/// itself would die of an illegal instruction.
#[must_use]
pub fn missing_features() -> Vec<&'static str> {
    #[cfg(target_arch = "x86_64")]
    {
        // The list in .cargo/config.toml that whisper.cpp is compiled with.
        let needed = [
            ("SSE4.2", std::arch::is_x86_feature_detected!("sse4.2")),
            ("AVX", std::arch::is_x86_feature_detected!("avx")),
            ("AVX2", std::arch::is_x86_feature_detected!("avx2")),
            ("FMA", std::arch::is_x86_feature_detected!("fma")),
            ("F16C", std::arch::is_x86_feature_detected!("f16c")),
            ("BMI2", std::arch::is_x86_feature_detected!("bmi2")),
        ];
        needed
            .into_iter()
            .filter_map(|(name, there)| (!there).then_some(name))
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
