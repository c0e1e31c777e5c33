//! Files of any format to samples.

use std::{
    ffi::OsString,
    io::{self, Read},
    path::Path,
    process::Command,
    time::Duration,
};

use async_trait::async_trait;
use speakr_core::{
    audio::SAMPLE_RATE_HZ,
    ports::sound::{SoundDecoder, SoundError, SoundInput, SoundSource},
};

use crate::{
    complaint::Complaint,
    explain::{NO_SOUND_STREAM, broken, explain, failure},
    formats,
    process::{Input, PcmProcess, run},
    program::Ffmpeg,
    report::{description, duration_in, is_sound_stream},
    sandbox::Bounds,
};

/// Chunks (of at most 2 s) that wait to be taken before ffmpeg has to wait.
const CHUNKS_AHEAD: usize = 4;

/// Bounds of decoding one input, against files made to exhaust the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Bytes of address space that ffmpeg may use (enforced on Linux).
    pub memory_bytes: u64,
    /// CPU time that ffmpeg may use (enforced on Unix).
    pub cpu: Duration,
    /// How long a file may give nothing while somebody waits. Standard input may take any time.
    pub stall: Duration,
    /// Sound longer than this is refused once that much was decoded.
    pub sound: Duration,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self {
            memory_bytes: 2 << 30,
            cpu: Duration::from_secs(3600),
            stall: Duration::from_secs(60),
            sound: Duration::from_secs(48 * 3600),
        }
    }
}

/// Decodes the first sound stream of files, video too. Network protocols and playlists are off.
#[derive(Debug, Clone, Default)]
pub struct FfmpegDecoder {
    ffmpeg: Ffmpeg,
    limits: DecodeLimits,
}

impl FfmpegDecoder {
    /// A decoder with the usual limits.
    #[must_use]
    pub fn new(ffmpeg: Ffmpeg) -> Self {
        Self::with_limits(ffmpeg, DecodeLimits::default())
    }

    /// A decoder with other limits.
    #[must_use]
    pub fn with_limits(ffmpeg: Ffmpeg, limits: DecodeLimits) -> Self {
        Self { ffmpeg, limits }
    }

    /// Decodes what `reader` gives; `name` stands for it in messages. A container that can only be
    /// read by jumping about (MP4 with its index at the end) is put into a scratch file first.
    ///
    /// # Errors
    /// [`SoundError`] when it can't be read, or ffmpeg is missing.
    pub async fn open_reader(
        &self,
        name: &str,
        reader: Box<dyn Read + Send>,
    ) -> Result<Box<dyn SoundSource>, SoundError> {
        self.ffmpeg.path()?;
        let input = name.to_owned();
        let failed = {
            let input = input.clone();
            move |cause: io::Error| SoundError::Unreadable {
                input,
                reason: cause.to_string(),
            }
        };
        let prepared = tokio::task::spawn_blocking(move || prepare(reader))
            .await
            .map_err(io::Error::other)
            .and_then(|prepared| prepared)
            .map_err(failed)?;
        match prepared {
            Prepared::Nothing => Err(SoundError::NotSound {
                input,
                reason: "it is empty".into(),
            }),
            Prepared::Stream(reader) => {
                self.start(input, "pipe:0".into(), Input::Reader(reader), None)
            }
            Prepared::Scratch(file) => {
                let url = file_url(file.path());
                self.start(input, url, Input::Nothing, Some(file))
            }
        }
    }

    fn start(
        &self,
        input: String,
        url: OsString,
        stdin: Input,
        scratch: Option<tempfile::NamedTempFile>,
    ) -> Result<Box<dyn SoundSource>, SoundError> {
        let mut command = self.reading(&url, "error")?;
        command
            .args(["-map", "0:a:0", "-vn", "-sn", "-dn", "-ac", "1", "-ar"])
            .arg(SAMPLE_RATE_HZ.to_string())
            .args(["-c:a", "pcm_s16le", "-f", "s16le", "pipe:1"]);
        let patient = !matches!(stdin, Input::Nothing);
        let process = PcmProcess::spawn(command, self.bounds(), CHUNKS_AHEAD, stdin)
            .map_err(|cause| broken(&input, cause))?;
        Ok(Box::new(DecodedSound {
            input,
            process,
            limits: self.limits,
            patient,
            samples: 0,
            phase: Phase::Running,
            _scratch: scratch,
        }))
    }

    /// ffmpeg with everything up to the input.
    fn reading(&self, url: &OsString, verbosity: &str) -> Result<Command, SoundError> {
        let mut command = self.ffmpeg.command()?;
        command
            // What it reads there is sound, also where it doesn't know that it is: no byte of it is a
            // key that ends it ("q") or changes it.
            .args(["-nostdin", "-v", verbosity, "-nostats", "-max_alloc"])
            // No single block bigger than a quarter: an attack shows as an error, not as a kill.
            .arg((self.limits.memory_bytes / 4).to_string())
            .args(["-protocol_whitelist", formats::PROTOCOLS])
            .arg("-format_whitelist")
            .arg(formats::whitelist())
            .args(["-threads", "1", "-i"])
            .arg(url);
        Ok(command)
    }

    fn bounds(&self) -> Bounds {
        Bounds {
            memory_bytes: Some(self.limits.memory_bytes),
            cpu_s: Some(self.limits.cpu.as_secs().max(1)),
        }
    }
}

#[async_trait]
impl SoundDecoder for FfmpegDecoder {
    async fn duration_ms(&self, input: &SoundInput) -> Result<Option<u64>, SoundError> {
        let SoundInput::File(path) = input else {
            return Ok(None);
        };
        // ffprobe isn't everywhere where ffmpeg is; ffmpeg tells the same when it has no output.
        let input = path.display().to_string();
        if !check(path)? {
            return Ok(None);
        }
        let command = self.reading(&file_url(path), "info")?;
        let exit = run(command, self.bounds(), self.limits.stall)
            .await
            .map_err(|cause| broken(&input, cause))?
            .exit;
        if let Some(description) = description(&exit.complaints) {
            if !description.lines().any(is_sound_stream) {
                return Err(NO_SOUND_STREAM.on(&input));
            }
            return Ok(duration_in(description));
        }
        Err(explain(&input, &Complaint::of(&exit)))
    }

    async fn open(&self, input: &SoundInput) -> Result<Box<dyn SoundSource>, SoundError> {
        match input {
            SoundInput::File(path) => {
                self.ffmpeg.path()?;
                check(path)?;
                self.start(
                    path.display().to_string(),
                    file_url(path),
                    Input::Nothing,
                    None,
                )
            }
            SoundInput::Stdin => {
                #[cfg(unix)]
                if stdin_is_file() {
                    // Opened anew by its name, so that ffmpeg can jump about in it.
                    let url = file_url(Path::new("/dev/stdin"));
                    return self.start("standard input".into(), url, Input::Inherited, None);
                }
                self.open_reader("standard input", Box::new(io::stdin()))
                    .await
            }
        }
    }
}

#[cfg(unix)]
fn stdin_is_file() -> bool {
    rustix::fs::fstat(io::stdin())
        .is_ok_and(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file())
}

/// The path as ffmpeg's `file:` URL: no colon, dash or scheme in it means anything then.
pub(crate) fn file_url(path: &Path) -> OsString {
    let mut url = OsString::from("file:");
    url.push(path);
    url
}

/// Checks that there is something to read; whether it is a regular file.
fn check(path: &Path) -> Result<bool, SoundError> {
    let unreadable = |reason: String| SoundError::Unreadable {
        input: path.display().to_string(),
        reason,
    };
    let metadata = path
        .metadata()
        .map_err(|cause| unreadable(plainly(&cause)))?;
    if metadata.is_dir() {
        return Err(unreadable("it is a folder".into()));
    }
    if !metadata.is_file() {
        // A pipe or a device: opening it here could take what ffmpeg needs, or wait for ever.
        return Ok(false);
    }
    std::fs::File::open(path).map_err(|cause| unreadable(plainly(&cause)))?;
    if metadata.len() == 0 {
        return Err(SoundError::NotSound {
            input: path.display().to_string(),
            reason: "it is empty".into(),
        });
    }
    Ok(true)
}

fn plainly(cause: &io::Error) -> String {
    match cause.kind() {
        io::ErrorKind::NotFound => "there is no such file".into(),
        io::ErrorKind::PermissionDenied => "you don't have permission to read it".into(),
        _ => cause.to_string(),
    }
}

enum Phase {
    Running,
    Draining,
    Ended,
}

/// One decoding.
struct DecodedSound {
    input: String,
    process: PcmProcess,
    limits: DecodeLimits,
    /// Whether the input may take its time.
    patient: bool,
    samples: u64,
    phase: Phase,
    _scratch: Option<tempfile::NamedTempFile>,
}

impl DecodedSound {
    async fn chunk(&mut self) -> Result<Option<Vec<i16>>, SoundError> {
        if self.patient {
            return Ok(self.process.next().await);
        }
        match tokio::time::timeout(self.limits.stall, self.process.next()).await {
            Ok(chunk) => Ok(chunk),
            Err(_) => {
                self.process.handle().kill();
                self.phase = Phase::Ended;
                let seconds = self.limits.stall.as_secs();
                Err(broken(
                    &self.input,
                    io::Error::new(
                        io::ErrorKind::TimedOut,
                        format!("nothing came out of it for {seconds} s"),
                    ),
                ))
            }
        }
    }
}

#[async_trait]
impl SoundSource for DecodedSound {
    async fn next(&mut self) -> Result<Option<Vec<i16>>, SoundError> {
        if matches!(self.phase, Phase::Ended) {
            return Ok(None);
        }
        if let Some(chunk) = self.chunk().await? {
            self.samples += chunk.len() as u64;
            let most = self.limits.sound.as_secs();
            if self.samples > most.saturating_mul(SAMPLE_RATE_HZ.into()) {
                self.process.handle().kill();
                self.phase = Phase::Ended;
                let most = match most {
                    s if s >= 3_600 && s % 3_600 == 0 => format!("{} hours", s / 3_600),
                    s => format!("{s} seconds"),
                };
                return Err(SoundError::Refused {
                    input: self.input.clone(),
                    reason: format!("its sound is longer than {most}"),
                });
            }
            return Ok(Some(chunk));
        }
        let exit = self.process.exit().await;
        let stopped = matches!(self.phase, Phase::Draining);
        self.phase = Phase::Ended;
        let exit = exit.map_err(|cause| broken(&self.input, cause))?;
        if stopped {
            return Ok(None);
        }
        if exit.status.success() {
            if self.samples > 0 {
                if !exit.complaints.trim().is_empty() {
                    tracing::warn!(input = %self.input, said = %exit.complaints.trim(), "parts of the sound are damaged");
                }
                return Ok(None);
            }
            return Err(explain(&self.input, &Complaint::of(&exit)));
        }
        let complaint = Complaint::of(&exit);
        if self.samples == 0 {
            return Err(explain(&self.input, &complaint));
        }
        Err(broken(&self.input, failure(&complaint)))
    }

    async fn stop(&mut self) {
        if matches!(self.phase, Phase::Running) {
            self.phase = Phase::Draining;
            self.process.handle().kill();
        }
    }
}

/// What a stream of bytes needs before ffmpeg can decode it.
enum Prepared {
    Nothing,
    Stream(Box<dyn Read + Send>),
    Scratch(tempfile::NamedTempFile),
}

/// Looks at the first bytes. An ISO base media file ("ftyp" at byte 4, ISO/IEC 14496-12) whose
/// index doesn't come first needs a file to jump about in.
fn prepare(mut reader: Box<dyn Read + Send>) -> io::Result<Prepared> {
    let mut head = Vec::new();
    reader.by_ref().take(16 * 1024).read_to_end(&mut head)?;
    if head.is_empty() {
        return Ok(Prepared::Nothing);
    }
    if head.get(4..8) == Some(b"ftyp") && !index_comes_first(&head) {
        let mut file = tempfile::Builder::new()
            .prefix("speakr-stdin-")
            .tempfile()?;
        io::copy(&mut io::Cursor::new(head).chain(reader), &mut file)?;
        return Ok(Prepared::Scratch(file));
    }
    Ok(Prepared::Stream(Box::new(
        io::Cursor::new(head).chain(reader),
    )))
}

/// Whether "moov" comes before "mdat" among the boxes that begin in `head`.
fn index_comes_first(head: &[u8]) -> bool {
    let mut at = 0_usize;
    loop {
        let Some(&[a, b, c, d, ref kind @ ..]) = head.get(at..at.saturating_add(8)) else {
            return false;
        };
        match kind {
            b"moov" => return true,
            b"mdat" => return false,
            _ => {}
        }
        let size = u32::from_be_bytes([a, b, c, d]) as usize;
        if size < 8 {
            // 0 (to the end) or 1 (a 64-bit size): no small box, so none before the index.
            return false;
        }
        at = at.saturating_add(size);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_byte_of_the_sound_is_a_key() {
        let decoder = FfmpegDecoder::new(Ffmpeg::new(std::env::current_exe().ok()));
        let command = decoder.reading(&"file:/dev/stdin".into(), "error").unwrap();
        assert!(command.get_args().any(|arg| arg == "-nostdin"));
    }

    #[test]
    fn an_mp4_with_its_index_first_can_be_streamed() {
        let fast = [
            &12_u32.to_be_bytes()[..],
            b"ftypisom",
            &8_u32.to_be_bytes(),
            b"moov",
        ]
        .concat();
        let slow = [
            &12_u32.to_be_bytes()[..],
            b"ftypisom",
            &8_u32.to_be_bytes(),
            b"mdat",
        ]
        .concat();
        assert!(index_comes_first(&fast));
        assert!(!index_comes_first(&slow));
        assert!(!index_comes_first(&slow[..12]));
    }

    #[test]
    fn a_path_never_becomes_an_option_or_another_protocol() {
        assert_eq!(file_url(Path::new("-i")), "file:-i");
        assert_eq!(file_url(Path::new("http://x/y")), "file:http://x/y");
    }
}
