//! What goes wrong on real machines: full disks, damaged files, forbidden folders, kills.

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
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;
use speakr_e2e::{Speakr, clip, program};
#[cfg(target_os = "linux")]
use speakr_e2e::{requirement, wav};

fn transcribe(speakr: &Speakr, name: &str) -> Value {
    speakr
        .run(["transcribe", "--json", clip(name).to_str().unwrap()])
        .success()
        .json()
}

fn count(speakr: &Speakr, args: &[&str]) -> u64 {
    speakr.run(args.iter().copied()).success().json()["count"]
        .as_u64()
        .unwrap()
}

#[test]
fn a_damaged_index_is_set_aside_and_made_anew_from_the_recordings() {
    let speakr = Speakr::new();
    let _ = transcribe(&speakr, "austen-0880.wav");
    let before = speakr
        .run(["search", "--json", "temperament of a gentleman"])
        .success()
        .stdout;
    let index = speakr.home().join("index.sqlite3");
    for file in fs::read_dir(speakr.home()).unwrap() {
        let path = file.unwrap().path();
        if path
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with("index.sqlite3-")
        {
            fs::remove_file(path).unwrap();
        }
    }
    let length = usize::try_from(fs::metadata(&index).unwrap().len()).unwrap();
    fs::write(&index, vec![0x5a; length]).unwrap();

    let after = speakr
        .run(["search", "--json", "temperament of a gentleman"])
        .success();
    assert!(after.stderr.contains("damaged"), "{}", after.stderr);
    assert_eq!(
        after.stdout, before,
        "the same search gives the same results"
    );
    let kept = fs::read_dir(speakr.home().join("backups")).unwrap().count();
    assert!(kept > 0, "the damaged index is kept");
}

#[test]
fn a_lost_index_is_made_anew_to_the_same_results() {
    let speakr = Speakr::new();
    for name in ["austen-0880.wav", "jfk.wav"] {
        let _ = transcribe(&speakr, name);
    }
    let search = ["search", "--json", "duty of citizens"];
    let before = speakr.run(search).success().stdout;
    for file in fs::read_dir(speakr.home()).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            fs::remove_file(path).unwrap();
        }
    }
    let report = speakr.run(["reindex", "--json"]).success().json();
    assert_eq!(report["recordings"], 2);
    assert_eq!(speakr.run(search).success().stdout, before);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_while_recording_keeps_what_was_written_and_says_so() {
    let Some(mut command) = requirement::own_mounts() else {
        return;
    };
    let speakr = Speakr::new();
    let sound = speakr.scratch().join("long.wav");
    wav::write(&sound, &wav::read(&clip("jfk.wav")).repeat(3));
    let home = speakr.home();
    fs::create_dir_all(&home).unwrap();
    // A disk of its own for the data folder, which goes with the shell. Once the program has made
    // its files, all but a little room is filled.
    let script = r#"set -e
mount -t tmpfs -o size=4m,mode=700 tmpfs "$SPEAKR_HOME"
"$SPEAKR" list --json >"$OUT/list-before"
room=$(df --output=avail -B1024 "$SPEAKR_HOME" | tail -n 1)
head -c "$(( (room - 400) * 1024 ))" /dev/zero >"$SPEAKR_HOME/ballast"
set +e
"$SPEAKR" record --json --no-clipboard --device "file:$SOUND" >"$OUT/stdout" 2>"$OUT/stderr"
echo $? >"$OUT/code"
set -e
stat -c %s "$SPEAKR_HOME"/recordings/*/audio.pcm >"$OUT/pcm-bytes"
rm "$SPEAKR_HOME/ballast"
"$SPEAKR" retry --json >"$OUT/retry" 2>"$OUT/retry-stderr"
"$SPEAKR" list --json >"$OUT/list-after"
"#;
    command
        .args(["sh", "-c", script])
        .env("SPEAKR", program::binary())
        .env("SPEAKR_HOME", &home)
        .env("SPEAKR_CONFIG", speakr.scratch().join("config.toml"))
        .env("OUT", speakr.scratch())
        .env("SOUND", &sound)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let shell = speakr.run_command(command).success();
    let read = |name: &str| fs::read_to_string(speakr.scratch().join(name)).unwrap_or_default();
    let said = read("stderr");
    assert_eq!(read("code").trim(), "1", "{said}{}", shell.stderr);
    assert!(said.contains("no space left"), "{said}");
    assert!(said.contains("kept"), "{said}");
    let bytes: u64 = read("pcm-bytes").trim().parse().unwrap();
    assert!(bytes > 100_000, "only {bytes} bytes of sound are kept");
    // Where the last kilobytes were enough for the text, there is none to make.
    let after: Value = serde_json::from_str(&read("list-after")).unwrap();
    assert_eq!(after["count"], 1, "{after} {}", read("retry-stderr"));
    assert_eq!(after["recordings"][0]["state"], "transcribed", "{after}");
    let text = after["recordings"][0]["text"]
        .as_str()
        .unwrap()
        .to_lowercase();
    assert!(text.contains("fellow americans"), "{text}");
}

/// The command as a user without rights runs it. Root passes every lock on a folder, so the tests
/// then take another user, and a copy of the program that this user can reach.
fn unprivileged(speakr: &Speakr, args: &[&str]) -> Command {
    let mut command = speakr.command(args);
    #[cfg(unix)]
    if rustix::process::geteuid().is_root() {
        use std::os::unix::{fs::PermissionsExt, process::CommandExt};
        fs::set_permissions(speakr.scratch(), fs::Permissions::from_mode(0o755)).unwrap();
        let copy = speakr.scratch().join("speakr");
        fs::copy(program::binary(), &copy).unwrap();
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
        let mut as_nobody = Command::new(copy);
        as_nobody.args(args).envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))),
        );
        as_nobody
            .env_remove("DISPLAY")
            .env_remove("WAYLAND_DISPLAY")
            .current_dir(speakr.scratch())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .uid(65_534)
            .gid(65_534);
        command = as_nobody;
    }
    command
}

#[cfg(unix)]
fn forbid(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[cfg(unix)]
#[test]
fn a_home_that_can_not_be_written_is_named() {
    let speakr = Speakr::new();
    fs::create_dir(speakr.home()).unwrap();
    forbid(&speakr.home(), 0o555);
    let sound = clip("jfk.wav");
    let local = speakr.scratch().join("jfk.wav");
    fs::copy(sound, &local).unwrap();
    let device = format!("file:{}", local.display());
    for args in [
        &["record", "--device", &device][..],
        &["list"],
        &["search", "anything"],
        &["transcribe", local.to_str().unwrap()],
    ] {
        let done = speakr.run_command(unprivileged(&speakr, args)).failure(1);
        assert!(done.stderr.contains("home"), "{args:?}: {}", done.stderr);
    }
    let doctor = unprivileged(&speakr, &["doctor"]);
    let told = speakr.run_command(doctor).failure(1).stdout;
    assert!(told.contains("can't be written"), "{told}");
    assert!(told.contains("choose another folder"), "{told}");
}

#[cfg(unix)]
#[test]
fn a_file_that_can_not_be_read_is_named_and_the_rest_is_done() {
    let speakr = Speakr::new();
    let folder = speakr.scratch().join("in");
    fs::create_dir(&folder).unwrap();
    for name in ["open.wav", "closed.wav"] {
        fs::copy(clip("austen-0880.wav"), folder.join(name)).unwrap();
        forbid(
            &folder.join(name),
            if name == "open.wav" { 0o644 } else { 0o000 },
        );
    }
    let closed_folder = folder.join("closed");
    fs::create_dir(&closed_folder).unwrap();
    forbid(&closed_folder, 0o000);
    let args = [
        "transcribe",
        "--no-save",
        "--recursive",
        folder.to_str().unwrap(),
    ];
    let done = speakr.run_command(unprivileged(&speakr, &args)).failure(1);
    forbid(&closed_folder, 0o755);
    assert!(
        done.stdout.to_lowercase().contains("young man"),
        "{}",
        done.stdout
    );
    assert!(done.stderr.contains("closed.wav"), "{}", done.stderr);
    assert!(done.stderr.contains("2 inputs failed"), "{}", done.stderr);
}

#[test]
fn ids_are_shortened_like_those_of_git_and_wrong_ones_are_told() {
    let speakr = Speakr::new();
    let id = transcribe(&speakr, "austen-0880.wav")["recording_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let shown = speakr.run(["show", "--json", &id[..6]]).success().json();
    assert_eq!(shown["recording_id"], id.as_str());
    let _ = speakr.run(["show", "zzzz"]).failure(2);
    let unknown = if id.starts_with("00000000") {
        "11111111"
    } else {
        "00000000"
    };
    let _ = speakr.run(["show", unknown]).failure(3);
    let _ = speakr.run(["show", "../../etc/passwd"]).failure(2);
}

#[test]
fn a_deleted_recording_is_gone_everywhere_and_stays_gone() {
    let speakr = Speakr::new();
    let id = transcribe(&speakr, "austen-0880.wav")["recording_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let other = transcribe(&speakr, "jfk.wav");
    let deleted = speakr.run(["rm", "--json", &id[..8]]).success().json();
    assert_eq!(deleted["deleted"][0]["sound"], true);
    assert_eq!(deleted["deleted"][0]["text"], true);
    assert_eq!(deleted["deleted"][0]["passages"], 1);
    assert_eq!(count(&speakr, &["list", "--json"]), 1);
    let _ = speakr.run(["reindex", "--json"]).success();
    let _ = speakr.run(["show", &id]).failure(3);
    let found = speakr
        .run(["search", "--json", "young man"])
        .success()
        .json();
    for result in found["results"].as_array().unwrap() {
        assert_eq!(result["recording_id"], other["recording_id"]);
    }
    // Not a word of it is left on disk.
    let words = Command::new("grep")
        .args(["-rilE", "disposed young man"])
        .arg(speakr.home())
        .output();
    assert_eq!(String::from_utf8_lossy(&words.unwrap().stdout), "");
}

#[test]
fn tags_are_added_removed_and_searched() {
    let speakr = Speakr::new();
    let id = transcribe(&speakr, "austen-0880.wav")["recording_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let _ = speakr.run(["tag", &id, "novel,שלום", "🎙"]).success();
    let tagged = speakr
        .run(["tag", "--json", &id, "--remove", "novel"])
        .success()
        .json();
    assert_eq!(tagged["tags"], serde_json::json!(["שלום", "🎙"]));
    assert_eq!(count(&speakr, &["list", "--json", "--tags", "🎙"]), 1);
    assert_eq!(count(&speakr, &["list", "--json", "--tags", "🎙,novel"]), 0);
    assert_eq!(
        count(
            &speakr,
            &["search", "--json", "--tags", "🎙", "young gentleman"]
        ),
        1
    );
    let shown = speakr.run(["show", "--json", &id]).success().json();
    assert_eq!(shown["tags"], serde_json::json!(["שלום", "🎙"]));
}

#[test]
fn any_text_is_a_query() {
    let speakr = Speakr::new();
    let _ = transcribe(&speakr, "austen-0880.wav");
    for query in [
        "\"",
        "a AND",
        "*",
        "NEAR(",
        "(young",
        "🎙",
        "שלום",
        "-- -x",
        "'; DROP TABLE",
    ] {
        let done = speakr.run(["search", "--json", "--", query]);
        let count = done.json()["count"].as_u64().unwrap();
        let code = if count == 0 { 3 } else { 0 };
        assert_eq!(done.code, Some(code), "{query}: {}", done.stderr);
    }
    let _ = speakr.run(["search", "--json", "  "]).failure(2);
}
