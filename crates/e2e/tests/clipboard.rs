//! Text on real clipboards: an X server, and a Wayland compositor, both without a screen.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    unreachable_pub,
    reason = "test code"
)]
#![cfg(target_os = "linux")]

use std::process::Command;

use speakr_clipboard::{Desktop, SystemClipboard};
use speakr_core::ports::clipboard::{Clipboard as _, ClipboardError};
use speakr_e2e::{
    Speakr,
    display::{Compositor, XServer},
    program::microphone,
    requirement::need,
};

/// Texts that clipboards get wrong.
fn texts() -> Vec<String> {
    vec![
        "plain".into(),
        "Grüße, 你好, 🎙️👩‍🚀 and e\u{301}".into(),
        "שלום \u{202b}עולם\u{202c} مرحبا".into(),
        "first line\nsecond\r\n\tthird\n\n".into(),
        "-not --an -option".into(),
        "$HOME `id` \"quoted\" 'too' \\n".into(),
        " ".into(),
        "0123456789ä".repeat(90_000),
    ]
}

fn path() -> std::ffi::OsString {
    std::env::var_os("PATH").unwrap()
}

fn x11(server: &XServer) -> SystemClipboard {
    SystemClipboard::of(Desktop {
        x11_display: Some(server.display.clone().into()),
        path: path(),
        ..Desktop::default()
    })
}

fn wayland(compositor: &Compositor) -> SystemClipboard {
    SystemClipboard::of(Desktop {
        wayland_display: Some(compositor.display.clone().into()),
        runtime_dir: Some(compositor.runtime_dir().into()),
        path: path(),
        ..Desktop::default()
    })
}

#[tokio::test]
async fn every_text_comes_back_as_it_was_under_x11() {
    let (Some(server), Some(_)) = (XServer::start(), need("xclip", "xclip")) else {
        return;
    };
    let clipboard = x11(&server);
    for text in texts() {
        clipboard.set_text(&text).await.unwrap();
        assert!(
            server.paste() == text,
            "{:?}… changed",
            text.chars().take(30).collect::<String>()
        );
    }
    clipboard.set_text("").await.unwrap();
    assert_eq!(server.paste(), "");
    assert_eq!(clipboard.probe().await.unwrap(), "xclip");
}

#[tokio::test]
async fn every_text_comes_back_as_it_was_under_wayland() {
    let (Some(compositor), Some(_)) = (Compositor::start(), need("wl-copy", "wl-clipboard")) else {
        return;
    };
    let clipboard = wayland(&compositor);
    for text in texts() {
        clipboard.set_text(&text).await.unwrap();
        assert!(
            compositor.paste() == text,
            "{:?}… changed",
            text.chars().take(30).collect::<String>()
        );
    }
    clipboard.set_text("").await.unwrap();
    assert_eq!(compositor.paste(), "");
    assert_eq!(clipboard.probe().await.unwrap(), "wl-copy");
}

/// Names the display for the copy of this test that sets a text and ends.
const SETTER: &str = "SPEAKR_TEST_SETTER";

#[tokio::test]
async fn the_text_stays_when_the_process_has_ended() {
    let (Some(server), Some(_)) = (XServer::start(), need("xclip", "xclip")) else {
        return;
    };
    let done = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_setter"])
        .env(SETTER, &server.display)
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
    assert_eq!(server.paste(), "said by a process that is gone 🎙");
}

/// Run by the test above in a process of its own; else there is nothing to do.
#[tokio::test]
async fn the_setter() {
    let Some(display) = std::env::var_os(SETTER) else {
        return;
    };
    let desktop = Desktop {
        x11_display: Some(display),
        path: path(),
        ..Desktop::default()
    };
    SystemClipboard::of(desktop)
        .set_text("said by a process that is gone 🎙")
        .await
        .unwrap();
}

#[tokio::test]
async fn a_display_that_does_not_answer_is_told() {
    let (Some(_), Some(_)) = (need("xclip", "xclip"), need("wl-copy", "wl-clipboard")) else {
        return;
    };
    let x11 = Desktop {
        x11_display: Some(":54321".into()),
        path: path(),
        ..Desktop::default()
    };
    let wayland = Desktop {
        wayland_display: Some("/nowhere/wayland-0".into()),
        runtime_dir: Some("/nowhere".into()),
        path: path(),
        ..Desktop::default()
    };
    for desktop in [x11, wayland] {
        let clipboard = SystemClipboard::of(desktop);
        for error in [
            clipboard.set_text("text").await.unwrap_err(),
            clipboard.probe().await.unwrap_err(),
        ] {
            let ClipboardError::Unavailable { reason } = &error else {
                panic!("{error:?}")
            };
            assert!(reason.contains("can't reach the display"), "{reason}");
        }
    }
}

#[tokio::test]
async fn under_wayland_without_wl_copy_the_shared_x_server_serves() {
    let (Some(server), Some(xclip)) = (XServer::start(), need("xclip", "xclip")) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(xclip, folder.path().join("xclip")).unwrap();
    let desktop = Desktop {
        wayland_display: Some("wayland-0".into()),
        x11_display: Some(server.display.clone().into()),
        path: folder.path().into(),
        ..Desktop::default()
    };
    SystemClipboard::of(desktop)
        .set_text("shared")
        .await
        .unwrap();
    assert_eq!(server.paste(), "shared");
}

/// Records a clip with the program on this desktop; the text that it gave.
fn record(speakr: &Speakr, more: &[&str]) -> String {
    let device = microphone("jfk.wav");
    let mut arguments = vec!["record", "--json", "--device", &device];
    arguments.extend_from_slice(more);
    let done = speakr.run(arguments).success();
    done.json()["text"].as_str().unwrap().to_owned()
}

#[test]
fn after_a_recording_the_text_is_on_the_clipboard_of_x11() {
    let (Some(server), Some(_)) = (XServer::start(), need("xclip", "xclip")) else {
        return;
    };
    let speakr = Speakr::new().env("DISPLAY", &server.display);
    let text = record(&speakr, &[]);
    assert!(text.contains("country"), "{text}");
    assert_eq!(server.paste(), text);
}

#[test]
fn after_a_recording_the_text_is_on_the_clipboard_of_wayland() {
    let (Some(compositor), Some(_)) = (Compositor::start(), need("wl-copy", "wl-clipboard")) else {
        return;
    };
    let speakr = Speakr::new()
        .env("WAYLAND_DISPLAY", &compositor.display)
        .env(
            "XDG_RUNTIME_DIR",
            compositor.runtime_dir().to_string_lossy(),
        );
    let text = record(&speakr, &[]);
    assert!(text.contains("country"), "{text}");
    assert_eq!(compositor.paste(), text);
}

#[tokio::test]
async fn a_recording_leaves_the_clipboard_alone_when_told_so() {
    let (Some(server), Some(_)) = (XServer::start(), need("xclip", "xclip")) else {
        return;
    };
    x11(&server).set_text("what was there").await.unwrap();
    let speakr = Speakr::new().env("DISPLAY", &server.display);
    record(&speakr, &["--no-clipboard"]);
    assert_eq!(server.paste(), "what was there");
}

#[test]
fn without_a_clipboard_there_is_a_warning_and_the_text() {
    let speakr = Speakr::new();
    let device = microphone("jfk.wav");
    let done = speakr
        .run(["record", "--json", "--device", &device])
        .success();
    assert!(done.json()["text"].as_str().unwrap().contains("country"));
    assert!(done.stderr.contains("no clipboard here"), "{}", done.stderr);
}
