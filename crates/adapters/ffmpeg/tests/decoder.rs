//! What comes out of files: every format, broken ones, and odd names.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    unreachable_pub,
    reason = "test code"
)]

mod support;

use std::{fs, io, path::Path, time::Duration};

use speakr_core::{
    audio::SAMPLE_RATE_HZ,
    ports::sound::{SoundDecoder as _, SoundError, SoundInput},
};
use speakr_ffmpeg::{DecodeLimits, Ffmpeg, FfmpegDecoder};
use support::{all, cycles, drain, error_of, ffmpeg, need, tone};

fn decoder() -> FfmpegDecoder {
    FfmpegDecoder::new(Ffmpeg::from_env())
}

async fn decode(path: &Path) -> Result<Vec<i16>, SoundError> {
    let source = decoder().open(&SoundInput::File(path.to_owned())).await?;
    match drain(source).await {
        (samples, None) => Ok(samples),
        (_, Some(error)) => Err(error),
    }
}

fn assert_tone(samples: &[i16], seconds: usize) {
    let rate = SAMPLE_RATE_HZ as usize;
    let length = samples.len().abs_diff(seconds * rate);
    // Lossy formats pad by a frame or two.
    assert!(
        length < rate / 5,
        "{} samples for {seconds} s",
        samples.len()
    );
    let cycles = cycles(samples);
    assert!(
        cycles.abs_diff(440 * seconds) < 44,
        "{cycles} cycles in {seconds} s"
    );
}

#[tokio::test]
async fn every_format_comes_out_as_16_khz_mono() {
    if !need("ffmpeg", "ffmpeg") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for name in [
        "a.wav", "a.mp3", "a.m4a", "a.flac", "a.ogg", "a.opus", "a.wma", "a.aiff", "a.ac3",
    ] {
        let path = tone(folder.path(), name, 2);
        let samples = decode(&path)
            .await
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_tone(&samples, 2);
        let length = decoder()
            .duration_ms(&SoundInput::File(path))
            .await
            .unwrap()
            .unwrap();
        assert!(length.abs_diff(2000) < 200, "{name}: {length} ms");
    }
}

#[tokio::test]
async fn of_a_video_with_two_sound_tracks_the_first_is_heard() {
    if !need("ffmpeg", "ffmpeg") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for name in ["video.mp4", "video.mkv", "video.avi"] {
        let path = folder.path().join(name);
        ffmpeg(
            &[
                "-f",
                "lavfi",
                "-i",
                "testsrc=duration=2:size=64x64:rate=10",
                "-f",
                "lavfi",
                "-i",
                "sine=frequency=440:duration=2",
                "-f",
                "lavfi",
                "-i",
                "sine=frequency=2000:duration=2",
                "-map",
                "0:v",
                "-map",
                "1:a",
                "-map",
                "2:a",
            ],
            &path,
        );
        assert_tone(&decode(&path).await.unwrap(), 2);
    }
}

#[tokio::test]
async fn a_video_without_sound_is_told_from_a_damaged_file() {
    if !need("ffmpeg", "ffmpeg") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("silent.mp4");
    ffmpeg(
        &["-f", "lavfi", "-i", "testsrc=duration=1:size=64x64:rate=10"],
        &path,
    );
    for error in [
        error_of(decode(&path).await),
        error_of(decoder().duration_ms(&SoundInput::File(path.clone())).await),
    ] {
        assert!(
            matches!(&error, SoundError::NotSound { reason, .. } if reason == "it has no sound track"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn names_with_spaces_emoji_dashes_colons_and_percent_signs_are_just_names() {
    if !need("ffmpeg", "ffmpeg") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let made = tone(folder.path(), "a.wav", 1);
    for name in [
        "-i.wav",
        "with space.wav",
        "🎙️ voice.wav",
        "http:x.wav",
        "pipe:0",
        "%d %03d.wav",
        "a\nb.wav",
        "'\"\\.wav",
        "no suffix",
    ] {
        let path = folder.path().join(name);
        fs::copy(&made, &path).unwrap();
        let samples = decode(&path)
            .await
            .unwrap_or_else(|e| panic!("{name:?}: {e}"));
        assert_tone(&samples, 1);
    }
}

#[tokio::test]
async fn what_holds_no_sound_says_so() {
    if !need("ffmpeg", "ffmpeg") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    };
    // No sound header, whatever the name promises; "noise" must not be taken for raw samples.
    let noise: Vec<u8> = (0_u32..60_000)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let picture = folder.path().join("picture.png");
    ffmpeg(
        &[
            "-f",
            "lavfi",
            "-i",
            "testsrc=duration=1:size=64x64:rate=1",
            "-frames:v",
            "1",
        ],
        &picture,
    );
    for path in [
        write("empty.wav", b""),
        write("one.wav", b"R"),
        write("text.mp3", b"this is not sound\n"),
        write("noise.ogg", &noise),
        write(
            "subtitles.srt",
            b"1\n00:00:00,000 --> 00:00:01,000\nhello\n\n",
        ),
        write(
            "header.wav",
            &fs::read(tone(folder.path(), "whole.wav", 1)).unwrap()[..44],
        ),
        picture,
    ] {
        let error = error_of(decode(&path).await);
        assert!(
            matches!(error, SoundError::NotSound { .. }),
            "{}: {error:?}",
            path.display()
        );
        assert!(
            error.to_string().contains(&path.display().to_string()),
            "{error}"
        );
    }
}

#[tokio::test]
async fn what_cannot_be_read_says_why() {
    if !need("ffmpeg", "ffmpeg") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        (folder.path().join("missing.wav"), "no such file"),
        (folder.path().to_owned(), "folder"),
    ];
    for (path, why) in cases {
        for error in [
            error_of(decoder().open(&SoundInput::File(path.clone())).await),
            error_of(decoder().duration_ms(&SoundInput::File(path)).await),
        ] {
            assert!(
                matches!(&error, SoundError::Unreadable { reason, .. } if reason.contains(why)),
                "{error:?}"
            );
        }
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_without_permission_says_so() {
    use std::os::unix::fs::PermissionsExt as _;
    if !need("ffmpeg", "ffmpeg") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = tone(folder.path(), "a.wav", 1);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    // root may read everything: nothing to see then.
    if fs::File::open(&path).is_ok() {
        return;
    }
    let error = error_of(decode(&path).await);
    assert!(
        matches!(&error, SoundError::Unreadable { reason, .. } if reason.contains("permission")),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_truncated_file_gives_what_there_is() {
    if !need("ffmpeg", "ffmpeg") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.wav", "a.mp3", "a.ogg", "a.flac", "a.mkv"] {
        let whole = fs::read(tone(folder.path(), name, 10)).unwrap();
        let path = folder.path().join(format!("half-{name}"));
        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        let samples = decode(&path)
            .await
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        let seconds = samples.len() as f64 / f64::from(SAMPLE_RATE_HZ);
        assert!((3.5..=6.5).contains(&seconds), "{name}: {seconds} s");
    }
}

#[tokio::test]
async fn damage_in_the_middle_loses_only_the_middle() {
    if !need("ffmpeg", "ffmpeg") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = fs::read(tone(folder.path(), "a.mp3", 10)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 4000].fill(0x55);
    let path = folder.path().join("damaged.mp3");
    fs::write(&path, bytes).unwrap();
    let seconds = decode(&path).await.unwrap().len() as f64 / f64::from(SAMPLE_RATE_HZ);
    assert!((9.0..=10.2).contains(&seconds), "{seconds} s");
}

#[tokio::test]
async fn a_stream_is_decoded_while_it_comes_and_an_mp4_with_its_index_at_the_end_too() {
    if !need("ffmpeg", "ffmpeg") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.wav", "a.mp3", "a.m4a", "a.ogg"] {
        let file = fs::File::open(tone(folder.path(), name, 2)).unwrap();
        let source = decoder()
            .open_reader("standard input", Box::new(file))
            .await
            .unwrap();
        assert_tone(&all(source).await, 2);
    }
    let nothing = decoder()
        .open_reader("standard input", Box::new(io::empty()))
        .await;
    assert!(matches!(error_of(nothing), SoundError::NotSound { .. }));
}

/// Holds what this process has started, or lets it go on.
#[cfg(target_os = "linux")]
fn hold_ffmpeg(held: bool) {
    use rustix::process::{Pid, Signal, kill_process};

    let signal = if held { Signal::STOP } else { Signal::CONT };
    for thread in fs::read_dir("/proc/self/task").unwrap() {
        let children = fs::read_to_string(thread.unwrap().path().join("children")).unwrap();
        for child in children.split_whitespace() {
            let child = Pid::from_raw(child.parse().unwrap()).unwrap();
            // One that has ended by now needs no signal.
            let _ = kill_process(child, signal);
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn hold_ffmpeg(_: bool) {}

#[tokio::test]
async fn a_reader_that_takes_its_time_is_waited_for_and_memory_stays_flat() {
    if !need("ffmpeg", "ffmpeg") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = tone(folder.path(), "long.flac", 600);
    let mut source = decoder().open(&SoundInput::File(path)).await.unwrap();
    let first = source.next().await.unwrap().unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    // A machine that is busy lets ffmpeg decode minutes while we count.
    hold_ffmpeg(true);
    // Everything that may wait: the queue, a chunk in hand and the pipe, at 2 s each; not 600 s.
    let mut waiting = 0;
    while let Ok(chunk) = tokio::time::timeout(Duration::ZERO, source.next()).await {
        match chunk.unwrap() {
            Some(chunk) => waiting += chunk.len(),
            None => break,
        }
        if waiting > 60 * SAMPLE_RATE_HZ as usize {
            break;
        }
        std::thread::sleep(Duration::ZERO);
    }
    assert!(
        waiting < 60 * SAMPLE_RATE_HZ as usize,
        "{waiting} samples were waiting"
    );
    hold_ffmpeg(false);
    let rest = all(source).await;
    assert_eq!(
        first.len() + waiting + rest.len(),
        600 * SAMPLE_RATE_HZ as usize
    );
}

#[tokio::test]
async fn stopping_ends_the_stream_soon() {
    if !need("ffmpeg", "ffmpeg") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = tone(folder.path(), "long.flac", 600);
    let mut source = decoder().open(&SoundInput::File(path)).await.unwrap();
    source.next().await.unwrap().unwrap();
    source.stop().await;
    let samples = all(source).await;
    assert!(samples.len() < 60 * SAMPLE_RATE_HZ as usize);
}

#[tokio::test]
async fn limits_of_memory_time_and_length_hold() {
    if !need("ffmpeg", "ffmpeg") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = tone(folder.path(), "long.flac", 900);
    let limited = |limits| FfmpegDecoder::with_limits(Ffmpeg::from_env(), limits);
    let input = SoundInput::File(path);

    let decoder = limited(DecodeLimits {
        sound: Duration::from_secs(60),
        ..Default::default()
    });
    let (samples, error) = drain(decoder.open(&input).await.unwrap()).await;
    assert!(
        matches!(error, Some(SoundError::Refused { .. })),
        "{error:?}"
    );
    assert!(samples.len() <= 60 * SAMPLE_RATE_HZ as usize);

    if cfg!(target_os = "linux") {
        let decoder = limited(DecodeLimits {
            memory_bytes: 32 << 20,
            ..Default::default()
        });
        let (_, error) = drain(decoder.open(&input).await.unwrap()).await;
        assert!(error.is_some(), "32 MB hold no ffmpeg");
    }
}

/// Hours of sound in a second of computing: more than a decoder can do.
#[cfg(unix)]
#[tokio::test]
async fn an_input_that_takes_too_much_computing_is_given_up() {
    if !need("ffmpeg", "ffmpeg") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = tone(folder.path(), "short.mp3", 300);
    let long = folder.path().join("long.mp3");
    std::fs::write(&long, std::fs::read(path).unwrap().repeat(60)).unwrap();
    let decoder = FfmpegDecoder::with_limits(
        Ffmpeg::from_env(),
        DecodeLimits {
            cpu: Duration::from_secs(1),
            ..Default::default()
        },
    );
    let (samples, error) = drain(decoder.open(&SoundInput::File(long)).await.unwrap()).await;
    assert!(samples.len() < 5 * 3_600 * SAMPLE_RATE_HZ as usize);
    let error = error.expect("it was given up");
    let cause = std::error::Error::source(&error).map(ToString::to_string);
    assert!(
        cause.as_ref().is_some_and(|c| c.contains("computing time")),
        "{error:?}"
    );
}

/// A pipe into which nobody writes: nothing ever comes.
#[cfg(unix)]
#[tokio::test]
async fn an_input_that_stalls_is_given_up() {
    if !need("ffmpeg", "ffmpeg") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe.wav");
    let made = std::process::Command::new("mkfifo")
        .arg(&path)
        .status()
        .unwrap();
    assert!(made.success());
    let limits = DecodeLimits {
        stall: Duration::from_millis(300),
        ..Default::default()
    };
    let decoder = FfmpegDecoder::with_limits(Ffmpeg::from_env(), limits);
    let source = decoder.open(&SoundInput::File(path)).await.unwrap();
    let (_, error) = drain(source).await;
    assert!(
        matches!(&error, Some(SoundError::Broken { cause, .. }) if cause.to_string().contains("nothing came")),
        "{error:?}"
    );
}
