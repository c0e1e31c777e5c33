//! Text from files, good and bad ones.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    unreachable_pub,
    reason = "test code"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use serde_json::Value;
use speakr_e2e::{Speakr, clip, program::Running, wav};

fn words(text: &str, words: &[&str]) -> bool {
    let text = text.to_lowercase();
    words.iter().all(|w| text.contains(w))
}

fn copy(speakr: &Speakr, clip_name: &str, name: &str) -> PathBuf {
    let path = speakr.scratch().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::copy(clip(clip_name), &path).unwrap();
    path
}

fn convert(from: &Path, to: &Path, options: &[&str]) {
    let status = Command::new("ffmpeg")
        .args(["-nostdin", "-loglevel", "error", "-y", "-i"])
        .arg(from)
        .args(options)
        .arg(to)
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
fn a_file_becomes_text_on_standard_output_and_is_found_again() {
    let speakr = Speakr::new();
    let done = speakr
        .run(["transcribe", clip("jfk.wav").to_str().unwrap()])
        .success();
    assert!(
        words(&done.stdout, &["fellow americans", "your country"]),
        "{}",
        done.stdout
    );
    let found = speakr
        .run(["search", "--json", "duty of citizens to their nation"])
        .success()
        .json();
    assert_eq!(found["count"], 1);
    let passage = &found["results"][0]["passages"][0];
    assert!(words(passage["text"].as_str().unwrap(), &["your country"]));
    assert!(passage["end_ms"].as_u64().unwrap() > passage["start_ms"].as_u64().unwrap());
}

#[test]
fn sound_of_other_kinds_and_video_are_read() {
    let speakr = Speakr::new();
    let source = clip("austen-0880.wav");
    let kinds: [(&str, &[&str]); 4] = [
        ("a.mp3", &["-ar", "44100", "-ac", "2"]),
        ("b.ogg", &[]),
        ("c.m4a", &[]),
        (
            "d.mp4",
            &["-f", "lavfi", "-i", "color=size=64x64:rate=5", "-shortest"],
        ),
    ];
    for (name, options) in kinds {
        let path = speakr.scratch().join(name);
        convert(&source, &path, options);
        let done = speakr
            .run(["transcribe", "--no-save", path.to_str().unwrap()])
            .success();
        assert!(
            words(&done.stdout, &["young man"]),
            "{name}: {}",
            done.stdout
        );
    }
}

#[test]
fn every_format_is_printed() {
    let speakr = Speakr::new();
    let path = clip("jfk.wav");
    let path = path.to_str().unwrap();
    let print = |format: &str| {
        speakr
            .run(["transcribe", "--no-save", "--format", format, path])
            .success()
            .stdout
    };
    assert!(print("srt").starts_with("1\n00:00:0"));
    assert!(print("vtt").starts_with("WEBVTT\n\n"));
    assert!(print("tsv").starts_with("start\tend\ttext\n"));
    let json: Value = serde_json::from_str(&print("json")).unwrap();
    assert_eq!(json["language"], "en");
    assert!(json["segments"][0]["end_ms"].as_u64().unwrap() > 0);
    // --no-save
    let kept = speakr.run(["list", "--json"]).success().json();
    assert_eq!(kept["count"], 0);
}

#[test]
fn many_files_take_one_load_of_the_model() {
    let speakr = Speakr::new();
    let files = ["jfk.wav", "austen-0880.wav", "LJ001-0005.wav"].map(clip);
    let mut args = vec!["transcribe", "-vv", "--no-save"];
    args.extend(files.iter().map(|file| file.to_str().unwrap()));
    let done = speakr.run(args).success();
    for said in ["your country", "young man", "art of printing"] {
        assert!(words(&done.stdout, &[said]), "{}", done.stdout);
    }
    let loads = done.stderr.matches("loaded the speech model").count();
    assert_eq!(loads, 1, "{}", done.stderr);
}

#[test]
fn words_have_times_when_asked_for() {
    let speakr = Speakr::new();
    let path = clip("jfk.wav");
    let json = speakr
        .run([
            "transcribe",
            "--no-save",
            "--json",
            "--word-timestamps",
            path.to_str().unwrap(),
        ])
        .success()
        .json();
    let words: Vec<&Value> = json["segments"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|s| s["words"].as_array().unwrap())
        .collect();
    assert!((18..=26).contains(&words.len()), "{}", words.len());
    let mut last = 0;
    for word in words {
        let (start, end) = (
            word["start_ms"].as_u64().unwrap(),
            word["end_ms"].as_u64().unwrap(),
        );
        assert!(start >= last && end >= start && end <= 11_000, "{word}");
        last = start;
    }
}

#[test]
fn a_folder_with_odd_names_is_transcribed_into_another() {
    let speakr = Speakr::new();
    copy(&speakr, "austen-0880.wav", "in/a b 🎙.wav");
    copy(&speakr, "austen-0880.wav", "in/deeper/-dash.wav");
    copy(&speakr, "austen-0880.wav", "in/שלום.wav");
    fs::write(speakr.scratch().join("in/notes.txt"), "no sound").unwrap();
    let input = speakr.scratch().join("in");
    let output = speakr.scratch().join("out");
    let run = |more: &[&str]| {
        let mut args = vec!["transcribe", "--format", "json", "--output-dir"];
        args.push(output.to_str().unwrap());
        args.extend_from_slice(more);
        args.push(input.to_str().unwrap());
        speakr.run(args)
    };
    let refused = run(&[]);
    assert_ne!(refused.code, Some(0));
    assert!(refused.stderr.contains("--recursive"), "{}", refused.stderr);
    let done = run(&["--recursive"]).success();
    assert_eq!(done.stdout, "");
    let mut written: Vec<String> = fs::read_dir(&output)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    written.sort();
    assert_eq!(written, ["-dash.json", "a b 🎙.json", "שלום.json"]);
    let list = speakr.run(["list", "--json"]).success().json();
    assert_eq!(list["count"], 3);
}

#[test]
fn one_bad_input_does_not_keep_the_rest_from_being_done() {
    let speakr = Speakr::new();
    let empty = speakr.scratch().join("empty.wav");
    fs::write(&empty, b"").unwrap();
    let text = speakr.scratch().join("letter.mp3");
    fs::write(&text, "Dear all,\r\nthis is no sound.\r\n".repeat(50)).unwrap();
    let good = clip("austen-0880.wav");
    let missing = speakr.scratch().join("missing.wav");
    let paths = [&empty, &text, &good, &missing].map(|p| p.to_str().unwrap().to_owned());
    let mut args = vec!["transcribe".to_owned()];
    args.extend(paths.clone());
    let done = speakr.run(args).failure(1);
    assert!(words(&done.stdout, &["young man"]), "{}", done.stdout);
    for name in ["empty.wav", "letter.mp3", "missing.wav", "3 inputs failed"] {
        assert!(done.stderr.contains(name), "{name}: {}", done.stderr);
    }
    let list = speakr.run(["list", "--json"]).success().json();
    assert_eq!(list["count"], 1, "what failed leaves nothing behind");
}

#[test]
fn a_truncated_file_gives_the_text_of_what_is_there() {
    let speakr = Speakr::new();
    let path = speakr.scratch().join("half.wav");
    let whole = fs::read(clip("jfk.wav")).unwrap();
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let done = speakr
        .run(["transcribe", "--no-save", path.to_str().unwrap()])
        .success();
    assert!(
        words(&done.stdout, &["fellow americans"]),
        "{}",
        done.stdout
    );
}

#[test]
fn standard_input_is_read() {
    let speakr = Speakr::new();
    let mut command = speakr.command(["transcribe", "--json", "-"]);
    command.stdin(Stdio::from(
        fs::File::open(clip("austen-0880.wav")).unwrap(),
    ));
    let done = speakr.run_command(command).success();
    assert!(words(done.json()["text"].as_str().unwrap(), &["young man"]));
}

#[test]
fn sound_from_a_file_on_standard_input_is_no_keys_for_ffmpeg() {
    const SILENCE_S: usize = 120;
    let speakr = Speakr::new();
    let path = speakr.scratch().join("keys.wav");
    // Each byte is a "q", the key that ends ffmpeg.
    let mut sound = vec![i16::from_le_bytes(*b"qq"); SILENCE_S * 16_000];
    sound.extend(wav::read(&clip("austen-0880.wav")));
    wav::write(&path, &sound);
    let mut command = speakr.command(["transcribe", "--json", "-"]);
    command.stdin(Stdio::from(fs::File::open(&path).unwrap()));
    let running = Running::start(command);
    thread::sleep(Duration::from_secs(1));
    // It reads a key every tenth of a second while nobody takes its sound; the file's head has 44 bytes.
    running.signal("STOP");
    thread::sleep(Duration::from_secs(8));
    running.signal("CONT");
    let done = running.wait().success();
    assert!(words(done.json()["text"].as_str().unwrap(), &["young man"]));
}

#[test]
fn waiting_for_standard_input_ends_when_asked_to() {
    let speakr = Speakr::new();
    let mut command = speakr.command(["transcribe", "-"]);
    command.stdin(Stdio::piped());
    let mut running = Running::start(command);
    thread::sleep(Duration::from_secs(3));
    assert!(running.is_running());
    running.signal("TERM");
    let _ = running.wait().failure(130);
}

#[test]
fn a_playlist_that_names_another_file_is_refused() {
    let speakr = Speakr::new();
    let secret = copy(&speakr, "austen-0880.wav", "secret.wav");
    let lists = [
        (
            "list.m3u8",
            format!(
                "#EXTM3U\n#EXTINF:3,\n{}\n#EXT-X-ENDLIST\n",
                secret.display()
            ),
        ),
        (
            "list.wav",
            format!("#EXTM3U\n#EXTINF:3,\nfile://{}\n", secret.display()),
        ),
        (
            "list.ffconcat",
            format!("ffconcat version 1.0\nfile '{}'\n", secret.display()),
        ),
    ];
    for (name, content) in lists {
        let path = speakr.scratch().join(name);
        fs::write(&path, content).unwrap();
        let done = speakr.run(["transcribe", path.to_str().unwrap()]);
        assert!(matches!(done.code, Some(1)), "{name}: {done:?}");
        assert!(!words(&done.stdout, &["young man"]), "{name}");
    }
}

#[test]
fn silence_noise_and_a_tone_give_no_text() {
    let speakr = Speakr::new();
    let sources = [
        ("silence.wav", "anullsrc=r=16000:cl=mono"),
        ("noise.wav", "anoisesrc=r=16000:a=0.3:c=white:s=7"),
        ("tone.wav", "sine=f=440:r=16000"),
    ];
    for (name, source) in sources {
        let path = speakr.scratch().join(name);
        let status = Command::new("ffmpeg")
            .args([
                "-nostdin",
                "-loglevel",
                "error",
                "-f",
                "lavfi",
                "-i",
                source,
                "-t",
                "10",
            ])
            .arg(&path)
            .status()
            .unwrap();
        assert!(status.success());
        let done = speakr
            .run(["transcribe", "--no-save", "--json", path.to_str().unwrap()])
            .success();
        assert_eq!(done.json()["text"], "", "{name}");
        assert!(
            done.stderr.contains("no speech was heard"),
            "{name}: {}",
            done.stderr
        );
    }
}

#[test]
fn without_ffmpeg_the_sentence_says_how_to_get_it() {
    let speakr = Speakr::new().env("PATH", "/nowhere");
    let done = speakr
        .run(["transcribe", clip("jfk.wav").to_str().unwrap()])
        .failure(4);
    assert!(
        done.stderr.contains("ffmpeg isn't installed"),
        "{}",
        done.stderr
    );
    assert!(done.stderr.contains("install"), "{}", done.stderr);
}

#[test]
fn an_unknown_model_is_told_before_anything_is_read() {
    let speakr = Speakr::new();
    let path = clip("jfk.wav");
    let done = speakr.run(["transcribe", "--model", "enormous", path.to_str().unwrap()]);
    assert!(matches!(done.code, Some(2..=4)), "{done:?}");
    assert!(
        done.stderr.contains("enormous") && done.stderr.contains("models list"),
        "{}",
        done.stderr
    );
    let done = speakr
        .run(["transcribe", "--language", "de", path.to_str().unwrap()])
        .failure(4);
    assert!(done.stderr.contains("models pull base"), "{}", done.stderr);
}

#[test]
fn a_kill_while_a_file_is_transcribed_leaves_a_library_that_goes_on() {
    let speakr = Speakr::new();
    let long = speakr.scratch().join("long.wav");
    wav::write(&long, &wav::read(&clip("jfk.wav")).repeat(8));
    for wait_ms in [300_u64, 900, 1_800] {
        let running: Running = speakr.start(["transcribe", long.to_str().unwrap()]);
        thread::sleep(Duration::from_millis(wait_ms));
        running.signal("KILL");
        drop(running);
    }
    let _ = speakr.run(["retry", "--json"]).success();
    let list = speakr.run(["list", "--json"]).success().json();
    assert!(!list["recordings"].as_array().unwrap().is_empty(), "{list}");
    for recording in list["recordings"].as_array().unwrap() {
        assert_eq!(recording["state"], "transcribed", "{list}");
    }
    let found = speakr
        .run(["search", "--json", "civic duty"])
        .answered()
        .json();
    assert_eq!(found["count"], list["count"]);
}

#[test]
fn two_processes_fill_one_library_at_once() {
    let speakr = Speakr::new();
    let path = clip("austen-0880.wav");
    let path = path.to_str().unwrap();
    let both: Vec<_> = (0..3)
        .map(|_| speakr.start(["transcribe", "--quiet", path]))
        .collect();
    for one in both {
        let _ = one.wait().success();
    }
    let list = speakr.run(["list", "--json"]).success().json();
    assert_eq!(list["count"], 3);
    let found = speakr.run([
        "search",
        "--json",
        "--limit",
        "10",
        "temperament of a gentleman",
    ]);
    assert_eq!(found.success().json()["count"], 3);
}

#[test]
fn an_english_only_model_says_so_when_it_hears_another_language() {
    let speakr = Speakr::new();
    let german = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/german.wav");
    let done = speakr
        .run(["transcribe", "--no-save", german.to_str().unwrap()])
        .success();
    assert!(done.stderr.contains("English only"), "{}", done.stderr);
    assert!(done.stderr.contains("models pull base"), "{}", done.stderr);
    for english in ["jfk.wav", "austen-0880.wav"] {
        let done = speakr
            .run(["transcribe", "--no-save", clip(english).to_str().unwrap()])
            .success();
        assert!(
            !done.stderr.contains("English only"),
            "{english}: {}",
            done.stderr
        );
    }
}
