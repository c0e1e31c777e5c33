//! The token of a query API in a real keychain: GNOME Keyring on a message bus of its own.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "test code")]

use speakr_e2e::{Speakr, api_server::ApiServer, requirement::need};

/// A session with a keychain that is open, and what `$SCRIPT` does in it.
const SESSION: &str = r#"
    printf 'open' | gnome-keyring-daemon --unlock --components=secrets >/dev/null &&
    eval "$SCRIPT"
"#;

/// The program, set up for the query API of `server`, but for its token. No bus is asked here.
fn client(server: &ApiServer) -> Speakr {
    Speakr::new()
        .env("NATS_URL", "nats://127.0.0.1:1")
        .env("SPEAKR_API_URL", &server.url)
}

#[test]
fn a_token_in_the_keychain_is_used_until_it_is_taken_out() {
    if need("gnome-keyring-daemon", "gnome-keyring").is_none()
        || need("dbus-run-session", "dbus-daemon").is_none()
    {
        return;
    }
    let library = Speakr::new();
    let server = ApiServer::start(&library, &[]);
    let speakr = client(&server);
    let program = speakr.command([""; 0]);
    let mut session = std::process::Command::new("dbus-run-session");
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => session.env(name, value),
            None => session.env_remove(name),
        };
    }
    // Where the keychain's file is.
    let home = tempfile::tempdir().unwrap();
    let output = session
        .args(["--", "sh", "-c", SESSION])
        .env("HOME", home.path())
        .env("XDG_DATA_HOME", home.path())
        .env("XDG_RUNTIME_DIR", home.path())
        .env("SPEAKR", program.get_program())
        .env("TOKEN", server.token.as_ref().unwrap())
        .env(
            "SCRIPT",
            r#"
            "$SPEAKR" list; echo "before: $?"
            printf '%s\n' "$TOKEN" | "$SPEAKR" token set; echo "set: $?"
            "$SPEAKR" list --json; echo "with: $?"
            "$SPEAKR" token rm; echo "rm: $?"
            "$SPEAKR" list; echo "after: $?"
            "$SPEAKR" token rm; echo "again: $?"
            "#,
        )
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let told = String::from_utf8_lossy(&output.stderr);
    for wanted in [
        "before: 1",
        "set: 0",
        "with: 0",
        "rm: 0",
        "after: 1",
        "again: 3",
    ] {
        assert!(said.contains(wanted), "{wanted} in {said}\n{told}");
    }
    assert!(
        said.contains("\"count\":0") || said.contains("\"count\": 0"),
        "{said}"
    );
    assert!(!said.contains(server.token.as_ref().unwrap()));
}

#[test]
fn without_a_keychain_it_says_what_else_there_is() {
    let library = Speakr::new();
    let server = ApiServer::start(&library, &[]);
    let speakr = client(&server)
        .env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent")
        .env("XDG_RUNTIME_DIR", "/nonexistent");
    let mut command = speakr.command(["token", "set"]);
    command.stdin(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"word\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{told}");
    assert!(told.contains("api_token_file"), "{told}");
    let none = speakr.run(["list"]).failure(1);
    assert!(
        none.stderr.contains("401") || none.stderr.contains("token"),
        "{}",
        none.stderr
    );
}
