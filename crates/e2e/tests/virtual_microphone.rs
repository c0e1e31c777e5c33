//! A real sound server with a microphone that hears what the test plays.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    unreachable_pub,
    reason = "test code"
)]
#![cfg(target_os = "linux")]

use std::time::{Duration, Instant};

use speakr_core::{
    audio::{SAMPLE_RATE_HZ, level_dbfs},
    ports::sound::{Device, DeviceInfo, Microphone as _, SoundError, SoundSource},
};
use speakr_e2e::{
    Speakr,
    audio_server::{AudioServer, DESCRIPTION, Hardware, MICROPHONE},
    clip,
    requirement::need,
    wav,
};
use speakr_ffmpeg::{Ffmpeg, FfmpegMicrophone};

fn microphone(server: &AudioServer) -> FfmpegMicrophone {
    FfmpegMicrophone::new(Ffmpeg::from_env().with_variable("PULSE_SERVER", server.address()))
}

/// A tone of 440 Hz, half of full scale.
fn tone(seconds: f64) -> Vec<i16> {
    let rate = f64::from(SAMPLE_RATE_HZ);
    (0..(seconds * rate) as u32)
        .map(|i| ((f64::from(i) * 440.0 * std::f64::consts::TAU / rate).sin() * 16_000.0) as i16)
        .collect()
}

fn is_loud(chunk: &[i16]) -> bool {
    level_dbfs(chunk) > -30.0
}

/// Reads until there is a loud chunk; what came from there on.
async fn until_loud(source: &mut Box<dyn SoundSource>) -> Vec<i16> {
    let begun = Instant::now();
    loop {
        let chunk = source.next().await.unwrap().unwrap();
        if is_loud(&chunk) {
            return chunk;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "nothing was heard"
        );
    }
}

fn error_of(opened: Result<Box<dyn SoundSource>, SoundError>) -> SoundError {
    match opened {
        Ok(_) => panic!("this must fail"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn what_is_said_is_heard_whole_and_soon() {
    let Some(server) = AudioServer::start(Hardware::Microphone) else {
        return;
    };
    let mut source = microphone(&server).open(&Device::Default).await.unwrap();
    let playing = server.play(&tone(2.0));
    let mut heard = until_loud(&mut source).await;
    while heard.len() < 2 * SAMPLE_RATE_HZ as usize + 3200 {
        heard.extend(source.next().await.unwrap().unwrap());
    }
    playing.wait();
    // From the first loud sample to the last: all of it, without a gap or a click.
    let loud = |sample: &i16| sample.unsigned_abs() > 1000;
    let first = heard.iter().position(loud).unwrap();
    let last = heard.iter().rposition(loud).unwrap();
    let length = last - first;
    assert!(
        length.abs_diff(2 * SAMPLE_RATE_HZ as usize) < 800,
        "{length} samples of 32000"
    );
    let cycles = heard[first..last]
        .windows(2)
        .filter(|w| w[0] < 0 && w[1] >= 0)
        .count();
    assert!(cycles.abs_diff(880) <= 9, "{cycles} cycles of 880");
}

#[tokio::test]
async fn sound_comes_in_small_pieces_as_it_is_said() {
    let Some(server) = AudioServer::start(Hardware::Microphone) else {
        return;
    };
    let mut source = microphone(&server).open(&Device::Default).await.unwrap();
    let begun = Instant::now();
    let (mut samples, mut chunks) = (0, 0);
    while begun.elapsed() < Duration::from_secs(2) {
        samples += source.next().await.unwrap().unwrap().len();
        chunks += 1;
    }
    assert!(chunks >= 30, "{chunks} pieces in 2 s");
    let expected = (begun.elapsed().as_secs_f64() * f64::from(SAMPLE_RATE_HZ)) as usize;
    assert!(
        samples.abs_diff(expected) < 6400,
        "{samples} samples of {expected}"
    );
}

#[tokio::test]
async fn what_comes_while_nobody_listens_is_kept() {
    let Some(server) = AudioServer::start(Hardware::Microphone) else {
        return;
    };
    let mut source = microphone(&server).open(&Device::Default).await.unwrap();
    let playing = server.play(&tone(3.0));
    // Models load: far longer than a pipe could hold.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let mut heard = until_loud(&mut source).await;
    playing.wait();
    source.stop().await;
    while let Some(chunk) = source.next().await.unwrap() {
        heard.extend(chunk);
    }
    let loud = heard.iter().rposition(|s| s.unsigned_abs() > 1000).unwrap();
    assert!(
        loud.abs_diff(3 * SAMPLE_RATE_HZ as usize) < 1600,
        "{loud} samples of 48000"
    );
}

#[tokio::test]
async fn stopping_hands_over_what_was_said_before_and_ends_soon() {
    let Some(server) = AudioServer::start(Hardware::Microphone) else {
        return;
    };
    let mut source = microphone(&server).open(&Device::Default).await.unwrap();
    let _playing = server.play(&tone(20.0));
    let mut heard = until_loud(&mut source).await.len();
    let begun = Instant::now();
    tokio::time::sleep(Duration::from_millis(1000)).await;
    let said = begun.elapsed();
    source.stop().await;
    let asked = Instant::now();
    while let Some(chunk) = source.next().await.unwrap() {
        heard += chunk.len();
    }
    let took = asked.elapsed();
    eprintln!("from stop to the end of the sound: {took:?}");
    assert!(took < Duration::from_secs(1), "{took:?}");
    let expected = (said.as_secs_f64() * f64::from(SAMPLE_RATE_HZ)) as usize;
    assert!(heard + 1600 >= expected, "{heard} samples of {expected}");
    assert!(source.next().await.unwrap().is_none());
}

#[tokio::test]
async fn microphones_are_listed_with_the_default_first_and_found_by_either_name() {
    let Some(server) = AudioServer::start(Hardware::Microphone) else {
        return;
    };
    let microphone = microphone(&server);
    let devices = microphone.devices().await.unwrap();
    assert_eq!(
        devices.first(),
        Some(&DeviceInfo {
            name: MICROPHONE.into(),
            description: DESCRIPTION.into(),
            system: "pulse".into(),
            default: true,
        })
    );
    assert!(
        devices
            .iter()
            .any(|device| device.name == "room.monitor" && !device.default)
    );
    for name in [MICROPHONE, DESCRIPTION, "pulse:vmic", "room.monitor"] {
        let mut source = microphone.open(&Device::Named(name.into())).await.unwrap();
        assert!(source.next().await.unwrap().is_some(), "{name}");
    }
}

#[tokio::test]
async fn an_unknown_microphone_is_told_with_those_that_exist() {
    let Some(server) = AudioServer::start(Hardware::Microphone) else {
        return;
    };
    let asked = Device::Named("no such thing".into());
    let error = error_of(microphone(&server).open(&asked).await);
    let SoundError::NoDevice { device, reason } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(device, "no such thing");
    assert!(reason.contains(MICROPHONE), "{reason}");
}

#[tokio::test]
async fn a_machine_without_a_microphone_says_so_instead_of_recording_silence() {
    let Some(server) = AudioServer::start(Hardware::Loudspeaker) else {
        return;
    };
    let microphone = microphone(&server);
    let error = error_of(microphone.open(&Device::Default).await);
    let SoundError::NoDevice { reason, .. } = &error else {
        panic!("{error:?}")
    };
    assert!(
        reason.contains("no microphone") && reason.contains("room.monitor"),
        "{reason}"
    );
    // Whoever wants the loudspeaker's sound can have it.
    let mut source = microphone
        .open(&Device::Named("room.monitor".into()))
        .await
        .unwrap();
    assert!(source.next().await.unwrap().is_some());
}

#[tokio::test]
async fn a_server_that_dies_breaks_the_sound_off_and_what_came_before_stays() {
    let Some(mut server) = AudioServer::start(Hardware::Microphone) else {
        return;
    };
    let mut source = microphone(&server).open(&Device::Default).await.unwrap();
    let first = source.next().await.unwrap().unwrap();
    assert!(!first.is_empty());
    server.kill();
    let error = loop {
        match tokio::time::timeout(Duration::from_secs(20), source.next())
            .await
            .unwrap()
        {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it ended as if it had been stopped"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, SoundError::Broken { .. }), "{error:?}");
    assert!(source.next().await.unwrap().is_none());
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_told_with_the_mend() {
    let Some(mut server) = AudioServer::start(Hardware::Microphone) else {
        return;
    };
    server.kill();
    let error = error_of(microphone(&server).open(&Device::Default).await);
    let SoundError::NoDevice { reason, .. } = &error else {
        panic!("{error:?}")
    };
    assert!(
        reason.contains("no sound server answers; start"),
        "{reason}"
    );
}

/// A spoken sentence of eleven seconds.
fn speech() -> Vec<i16> {
    wav::read(&clip("jfk.wav"))
}

#[test]
fn a_sentence_said_into_the_microphone_becomes_text() {
    let Some(server) = AudioServer::start(Hardware::Microphone) else {
        return;
    };
    let speakr = Speakr::new().env("PULSE_SERVER", server.address());
    let mut recording = speakr.start(["record", "--json", "--no-clipboard"]);
    recording.wait_for("Recording");
    server.play(&speech()).wait();
    std::thread::sleep(Duration::from_millis(300));
    let _ = speakr.run(["stop"]).success();
    let transcript = recording.wait().success().json();
    let text = transcript["text"].as_str().unwrap().to_lowercase();
    assert!(
        text.contains("ask not") && text.contains("your country"),
        "{text}"
    );
    let length = transcript["duration_ms"].as_u64().unwrap();
    assert!((11_000..=30_000).contains(&length), "{length} ms");
}

#[test]
fn a_sound_server_that_dies_loses_nothing_of_what_was_said() {
    let Some(mut server) = AudioServer::start(Hardware::Microphone) else {
        return;
    };
    let speakr = Speakr::new().env("PULSE_SERVER", server.address());
    let mut recording = speakr.start(["record", "--json", "--no-clipboard"]);
    recording.wait_for("Recording");
    server.play(&speech()).wait();
    std::thread::sleep(Duration::from_millis(300));
    server.kill();
    let done = recording.wait();
    assert_ne!(done.code, None, "{done:?}");
    let listed = speakr.run(["list", "--json"]).success().json();
    let text = listed["recordings"][0]["text"]
        .as_str()
        .unwrap()
        .to_lowercase();
    assert!(text.contains("your country"), "{listed}\n{}", done.stderr);
}

#[test]
fn without_a_microphone_nothing_is_recorded_and_the_mend_is_told() {
    let Some(server) = AudioServer::start(Hardware::Loudspeaker) else {
        return;
    };
    let speakr = Speakr::new().env("PULSE_SERVER", server.address());
    let done = speakr.run(["record", "--no-clipboard"]).failure(4);
    assert!(done.stderr.contains("no microphone"), "{}", done.stderr);
    let listed = speakr.run(["list", "--json"]).success().json();
    assert_eq!(listed["count"], 0);
}

#[test]
fn the_program_lists_the_microphones() {
    let Some(server) = AudioServer::start(Hardware::Microphone) else {
        return;
    };
    let speakr = Speakr::new().env("PULSE_SERVER", server.address());
    let listed = speakr.run(["devices", "--json"]).success().json();
    assert_eq!(
        listed["devices"][0],
        serde_json::json!({
            "name": MICROPHONE, "description": DESCRIPTION, "system": "pulse", "default": true,
        })
    );
    assert_eq!(
        listed["count"].as_u64().unwrap(),
        listed["devices"].as_array().unwrap().len() as u64
    );
    let said = speakr.run(["devices"]).success();
    assert!(said.stdout.starts_with("* vmic"), "{}", said.stdout);
}

#[test]
fn a_recording_is_played_from_the_moment_that_is_asked_for() {
    if need("ffplay", "ffmpeg").is_none() {
        return;
    }
    let Some(server) = AudioServer::start(Hardware::Microphone) else {
        return;
    };
    let speakr = Speakr::new()
        .env("PULSE_SERVER", server.address())
        .env("SDL_AUDIODRIVER", "pulseaudio");
    let made = speakr
        .run(["transcribe".into(), "--json".into(), clip("jfk.wav")])
        .success()
        .json();
    let id = made["recording_id"].as_str().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut source = runtime
        .block_on(microphone(&server).open(&Device::Default))
        .unwrap();
    let begun = Instant::now();
    let played = speakr
        .run(["play", &id[..8], "--at", "0:08", "--json"])
        .success();
    assert!(
        begun.elapsed() < Duration::from_secs(9),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(played.json()["from_ms"], 8_000);
    // The room heard the last three seconds.
    let heard = runtime.block_on(async {
        source.stop().await;
        let mut heard = Vec::new();
        while let Some(chunk) = source.next().await.unwrap() {
            heard.extend(chunk);
        }
        heard
    });
    let loud = heard.chunks(1600).filter(|chunk| is_loud(chunk)).count();
    assert!(
        (10..=32).contains(&loud),
        "{loud} tenths of a second were loud"
    );
    let late = speakr.run(["play", &id[..8], "--at", "1:00"]).failure(2);
    assert!(late.stderr.contains("only 0:11 long"), "{}", late.stderr);
    drop(server);
    let silent = speakr.run(["play", &id[..8]]).failure(1);
    assert!(silent.stderr.contains("loudspeaker"), "{}", silent.stderr);
}
