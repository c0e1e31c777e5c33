//! What these tests share: the real ffmpeg, sound made by it, and sources read to their end.
#![allow(dead_code, reason = "each test file uses its part")]

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use speakr_core::ports::sound::{SoundError, SoundSource};

/// Whether the program is here. Without it the test fails and names the package, unless
/// `SPEAKR_TEST_SKIP` (names with commas) lists it.
pub fn need(program: &str, package: &str) -> bool {
    let here = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|f| f.join(program).is_file()));
    if here {
        return true;
    }
    let skipped = std::env::var("SPEAKR_TEST_SKIP").unwrap_or_default();
    if skipped.split(',').any(|name| name.trim() == program) {
        eprintln!("skipped: {program} isn't installed and SPEAKR_TEST_SKIP lists it");
        return false;
    }
    panic!(
        "this test needs {program}: install the package {package} (make test does), or list \
         {program} in SPEAKR_TEST_SKIP"
    );
}

/// Runs ffmpeg with these arguments; the output file is the last.
pub fn ffmpeg(arguments: &[&str], output: &Path) {
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-y"])
        .args(arguments)
        .arg(output)
        .status()
        .unwrap();
    assert!(made.success(), "ffmpeg couldn't make {}", output.display());
}

/// A tone of `seconds` in a file of the format that the name says.
pub fn tone(folder: &Path, name: &str, seconds: u32) -> PathBuf {
    let path = folder.join(name);
    let source = format!("sine=frequency=440:duration={seconds}:sample_rate=48000");
    let url = format!("file:{}", path.display());
    ffmpeg(&["-f", "lavfi", "-i", &source, "-ac", "2"], Path::new(&url));
    path
}

/// All samples, and the error if it ended with one.
pub async fn drain(mut source: Box<dyn SoundSource>) -> (Vec<i16>, Option<SoundError>) {
    let mut samples = Vec::new();
    loop {
        match source.next().await {
            Ok(Some(chunk)) => samples.extend(chunk),
            Ok(None) => return (samples, None),
            Err(error) => return (samples, Some(error)),
        }
    }
}

/// The samples of a source that must end well.
pub async fn all(source: Box<dyn SoundSource>) -> Vec<i16> {
    let (samples, error) = drain(source).await;
    assert!(error.is_none(), "{error:?}");
    samples
}

/// How often the samples cross zero upwards: a tone's frequency times its seconds.
pub fn cycles(samples: &[i16]) -> usize {
    samples
        .windows(2)
        .filter(|pair| pair[0] < 0 && pair[1] >= 0)
        .count()
}

/// The error of something that must fail.
pub fn error_of<T>(result: Result<T, SoundError>) -> SoundError {
    match result {
        Ok(_) => panic!("this must fail"),
        Err(error) => error,
    }
}
