//! The programs of the last release beside those of this one: on the schema of this one, one after the other replaced,
//! and back again.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    unreachable_pub,
    reason = "test code"
)]

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use speakr_e2e::{
    platform::Platform,
    program::{PATIENCE, Speakr, microphone, path_of},
};
use speakr_testkit::platform::{Options, Role};

/// Where the programs of the last release lie.
fn last_release() -> PathBuf {
    let folder = std::env::var_os("SPEAKR_LAST_PROGRAMS");
    let folder = PathBuf::from(folder.expect("SPEAKR_LAST_PROGRAMS names a folder"));
    assert!(folder.join("speakr").is_file(), "{}", folder.display());
    folder
}

/// A client of either release, and all that was said by either.
struct Clients {
    clients: [(&'static str, Speakr); 2],
    said: Vec<String>,
}

impl Clients {
    fn of(platform: &Platform, last: &Path) -> Self {
        Self {
            clients: [
                (
                    "the last release",
                    platform.client().by(last.join("speakr")),
                ),
                ("this one", platform.client()),
            ],
            said: Vec::new(),
        }
    }

    /// Each client has a file made into text and somebody's words, and finds both: its own and the other's, and all
    /// that was said before.
    fn speak_and_find(&mut self, when: &str) {
        let (file, device) = (path_of("jfk.wav"), microphone("jfk.wav"));
        for (who, client) in &self.clients {
            let mut say = |how: &str, arguments: &[&str]| {
                let tag = format!("{when}, {how} by {who}").replace([',', ' '], "-");
                let said = client
                    .run([arguments, &["--json", "--tags", &tag]].concat())
                    .success();
                assert!(said.stdout.contains("country"), "{tag}: {}", said.stdout);
                self.said.push(tag);
            };
            say("a file", &["transcribe", &file]);
            say("spoken", &["record", "--no-clipboard", "--device", &device]);
        }
        for (who, client) in &self.clients {
            for tag in &self.said {
                find(client, tag, &format!("{when}, by {who}"));
            }
        }
    }
}

/// Finds what was labelled `tag`, once, by its words and by its meaning.
fn find(client: &Speakr, tag: &str, when: &str) {
    let began = Instant::now();
    loop {
        let query = "what a citizen can do";
        let found = client
            .run(["search", "--json", "--tags", tag, query])
            .answered();
        let results = found.json()["results"].as_array().map_or(0, Vec::len);
        if results > 0 {
            break;
        }
        assert!(
            began.elapsed() < PATIENCE,
            "{when}: {tag} isn't found: {} {}",
            found.stdout,
            found.stderr
        );
        std::thread::sleep(Duration::from_millis(200));
    }
    let listed = client
        .run(["list", "--json", "--tags", tag])
        .success()
        .json();
    let listed = listed["recordings"].as_array().unwrap();
    assert_eq!(listed.len(), 1, "{when}: {tag}: {listed:?}");
}

#[test]
#[ignore = "takes the programs of the last release: make compat-test"]
fn the_last_release_serves_on_this_schema_while_each_service_is_replaced_and_after_all_are_put_back()
 {
    let last = last_release();
    let mut platform = Platform::start_as(&Options {
        programs: Some(last.clone()),
        ..Options::default()
    });
    let mut clients = Clients::of(&platform, &last);
    clients.speak_and_find("before");
    platform.use_programs(None);
    for role in Role::ALL {
        platform.restart(role, &[]);
        clients.speak_and_find(&format!("with {} of this one", role.program()));
    }
    // A release that is taken back leaves its schema and what it has stored.
    platform.use_programs(Some(&last));
    for role in Role::ALL {
        platform.restart(role, &[]);
    }
    clients.speak_and_find("taken back");
}
