//! Playlists and other files that would make ffmpeg open what nobody named.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    unreachable_pub,
    reason = "test code"
)]

mod support;

use std::{fs, path::Path};

use speakr_core::ports::sound::{SoundDecoder as _, SoundError, SoundInput};
use speakr_ffmpeg::{Ffmpeg, FfmpegDecoder};
use support::{drain, error_of, need, tone};

/// What decoding the file ends with; that not one sample came out is checked on the way.
async fn refusal(path: &Path) -> SoundError {
    let decoder = FfmpegDecoder::new(Ffmpeg::from_env());
    let source = match decoder.open(&SoundInput::File(path.to_owned())).await {
        Ok(source) => source,
        Err(error) => return error,
    };
    let (samples, error) = drain(source).await;
    assert!(
        samples.is_empty(),
        "{} gave {} samples",
        path.display(),
        samples.len()
    );
    error.unwrap_or_else(|| panic!("{} ended well", path.display()))
}

#[tokio::test]
async fn a_playlist_that_names_another_file_is_refused_whatever_it_is_called() {
    if !need("ffmpeg", "ffmpeg") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let secret = tone(folder.path(), "secret.wav", 1);
    // ffmpeg would play the file through any of these.
    let hls = format!(
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXTINF:1.0,\n{}\n#EXT-X-ENDLIST\n",
        secret.display()
    );
    let ffconcat = format!("ffconcat version 1.0\nfile '{}'\n", secret.display());
    let dash = "<?xml version=\"1.0\"?>\n<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" type=\"static\" mediaPresentationDuration=\"PT1S\" profiles=\"urn:mpeg:dash:profile:isoff-on-demand:2011\"><Period><AdaptationSet mimeType=\"audio/mp4\"><Representation id=\"a\" bandwidth=\"1\"><BaseURL>secret.wav</BaseURL></Representation></AdaptationSet></Period></MPD>\n";
    let sdp =
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n";
    for (kind, content) in [
        ("hls", hls.as_str()),
        ("ffconcat", &ffconcat),
        ("dash", dash),
        ("sdp", sdp),
    ] {
        for suffix in ["m3u8", "ffconcat", "mpd", "sdp", "wav", "mp3", "mp4", "txt"] {
            let path = folder.path().join(format!("{kind}.{suffix}"));
            fs::write(&path, content).unwrap();
            let error = refusal(&path).await;
            assert!(
                matches!(error, SoundError::Refused { .. }),
                "{}: {error:?}",
                path.display()
            );
        }
    }
}

#[tokio::test]
async fn a_playlist_on_a_stream_is_refused_too() {
    if !need("ffmpeg", "ffmpeg") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let secret = tone(folder.path(), "secret.wav", 1);
    let list = format!("ffconcat version 1.0\nfile '{}'\n", secret.display());
    let decoder = FfmpegDecoder::new(Ffmpeg::from_env());
    let source = decoder
        .open_reader("standard input", Box::new(std::io::Cursor::new(list)))
        .await
        .unwrap();
    let (samples, error) = drain(source).await;
    assert!(samples.is_empty());
    assert!(
        matches!(error, Some(SoundError::Refused { .. })),
        "{error:?}"
    );
}

#[tokio::test]
async fn the_length_of_a_playlist_is_refused_as_well() {
    if !need("ffmpeg", "ffmpeg") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("list.wav");
    fs::write(&path, "ffconcat version 1.0\nfile 'a.wav'\n").unwrap();
    let decoder = FfmpegDecoder::new(Ffmpeg::from_env());
    let error = error_of(decoder.duration_ms(&SoundInput::File(path)).await);
    assert!(matches!(error, SoundError::Refused { .. }), "{error:?}");
}

#[tokio::test]
async fn an_address_is_a_file_name_and_nothing_is_fetched() {
    if !need("ffmpeg", "ffmpeg") {
        return;
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = format!("http://{}/a.wav", listener.local_addr().unwrap());
    let error = refusal(Path::new(&address)).await;
    assert!(matches!(error, SoundError::Unreadable { .. }), "{error:?}");
    // A playlist that names an address: refused before anything is asked of it.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("remote.m3u8");
    fs::write(
        &path,
        format!("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{address}\n#EXT-X-ENDLIST\n"),
    )
    .unwrap();
    assert!(matches!(refusal(&path).await, SoundError::Refused { .. }));
    let nobody = listener.accept().map(|_| ()).unwrap_err();
    assert_eq!(
        nobody.kind(),
        std::io::ErrorKind::WouldBlock,
        "somebody connected"
    );
}
