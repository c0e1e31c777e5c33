//! `speakr models`, with a hub on the loopback.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "test code")]

#[path = "../../adapters/models/tests/server/mod.rs"]
mod server;

use std::{fs, path::PathBuf, time::Duration};

use server::{Answer, Server};
use speakr_e2e::{Finished, Speakr};

/// A published model whose bytes are in the repository.
const MODEL: &str = "silero-vad-v6.2.0";
const FILE: &str = "ggml-silero-v6.2.0.bin";

fn model_bytes() -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../assets/models")
        .join(FILE);
    fs::read(path).unwrap()
}

fn speakr(server: &Server) -> Speakr {
    Speakr::new().env("HF_ENDPOINT", &server.address)
}

// `--again`: the program may have the model inside.
fn pull(speakr: &Speakr) -> Finished {
    speakr.run(["models", "pull", "--again", "--json", MODEL])
}

fn pulled_path(speakr: &Speakr) -> PathBuf {
    speakr.home().join("models").join(FILE)
}

#[test]
fn the_list_tells_size_licence_languages_and_place_of_every_model() {
    let list = Speakr::new()
        .run(["models", "list", "--json"])
        .success()
        .json();
    let models = list["models"].as_array().unwrap();
    assert_eq!(list["count"], models.len());
    for id in [
        "tiny.en",
        "tiny",
        "base.en",
        "base",
        "small",
        "medium",
        "large-v3-turbo",
    ] {
        let model = models.iter().find(|model| model["id"] == id).unwrap();
        assert_eq!(
            (&model["kind"], &model["licence"]),
            (&"speech".into(), &"MIT".into())
        );
        assert_eq!(model["state"], "absent");
        assert_eq!(model["pinned"], true);
        assert_eq!(model["sha256"].as_str().unwrap().len(), 64);
        assert!(
            model["digest_source"][0]
                .as_str()
                .unwrap()
                .contains("github.com/")
        );
        let languages = model["languages"].as_array().unwrap().len();
        assert_eq!(languages > 1, !id.contains(".en"), "{id}");
    }
    let lines = Speakr::new().run(["models", "list"]).success().stdout;
    let base = lines
        .lines()
        .find(|line| line.starts_with("base "))
        .unwrap();
    for part in ["MiB", "99 languages", "MIT", "not here"] {
        assert!(base.contains(part), "{base}");
    }
}

#[test]
fn a_model_is_pulled_found_verified_and_removed() {
    let server = Server::start(|_, _| Answer::File(model_bytes()));
    let speakr = speakr(&server);
    let pulled = pull(&speakr).success().json();
    assert_eq!(pulled["models"][0]["already_there"], false);
    assert_eq!(
        pulled["models"][0]["path"],
        pulled_path(&speakr).to_str().unwrap()
    );
    assert_eq!(fs::read(pulled_path(&speakr)).unwrap(), model_bytes());
    let request = &server.requests()[0];
    assert!(
        request.path.starts_with("/ggml-org/whisper-vad/resolve/"),
        "{request:?}"
    );
    let verified = speakr
        .run(["models", "verify", MODEL, "--json"])
        .success()
        .json();
    assert_eq!(verified["files"][0]["verification"], "verified");
    let removed = speakr
        .run(["models", "rm", MODEL, "--json"])
        .success()
        .json();
    assert_eq!(removed["models"][0]["freed_bytes"], model_bytes().len());
    assert!(!pulled_path(&speakr).exists());
}

#[test]
fn a_wrong_file_is_refused_with_the_way_by_hand() {
    let wrong = |mut bytes: Vec<u8>| {
        bytes[100_000] ^= 1;
        bytes
    };
    let server = Server::start(move |_, _| Answer::File(wrong(model_bytes())));
    let speakr = speakr(&server);
    let said = pull(&speakr).failure(1).stderr;
    for part in [
        "SHA-256",
        "By hand: save https://huggingface.co/",
        &*pulled_path(&speakr).to_string_lossy(),
    ] {
        assert!(said.contains(part), "{said}");
    }
    assert!(!pulled_path(&speakr).exists());
}

#[test]
fn a_missing_file_and_an_unknown_model_are_told_apart() {
    let server = Server::start(|_, _| Answer::Status(404, ""));
    let speakr = speakr(&server);
    let said = pull(&speakr).failure(1).stderr;
    assert!(said.contains("answered 404"), "{said}");
    let said = speakr.run(["models", "pull", "bas"]).failure(4).stderr;
    assert!(
        said.contains("no model \"bas\"") && said.contains("base"),
        "{said}"
    );
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_killed_download_goes_on_where_it_was() {
    let server =
        Server::start(|_, _| Answer::Slowly(model_bytes(), 40_000, Duration::from_millis(60)));
    let speakr = speakr(&server);
    let mut running = speakr.start(["models", "pull", "--again", MODEL]);
    running.wait_for("Downloading");
    let part = pulled_path(&speakr).with_file_name(format!("{FILE}.part"));
    while fs::metadata(&part).map_or(0, |metadata| metadata.len()) < 100_000 {
        assert!(running.is_running(), "it ended before it could be killed");
        std::thread::sleep(Duration::from_millis(5));
    }
    running.signal("KILL");
    drop(running);
    let kept = usize::try_from(fs::metadata(&part).unwrap().len()).unwrap();
    assert!(kept < model_bytes().len());
    let _ = pull(&speakr).success();
    assert_eq!(fs::read(pulled_path(&speakr)).unwrap(), model_bytes());
    assert_eq!(server.requests()[1].range_start(), Some(kept));
}

#[test]
fn ctrl_c_stops_a_download_and_keeps_what_has_come() {
    let server =
        Server::start(|_, _| Answer::Slowly(model_bytes(), 20_000, Duration::from_millis(60)));
    let speakr = speakr(&server);
    let mut running = speakr.start(["models", "pull", "--again", MODEL]);
    running.wait_for("Downloading");
    let part = pulled_path(&speakr).with_file_name(format!("{FILE}.part"));
    while fs::metadata(&part).map_or(0, |metadata| metadata.len()) == 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    running.signal("INT");
    let said = running.wait().failure(130).stderr;
    assert!(
        said.contains("was stopped") && said.contains("models pull"),
        "{said}"
    );
    assert!(fs::metadata(&part).unwrap().len() > 0);
    assert!(!pulled_path(&speakr).exists());
}

#[test]
fn proxies_are_honoured_and_what_is_excepted_from_them() {
    let server = Server::start(|_, _| Answer::File(model_bytes()));
    // No such host: only the proxy can answer.
    let speakr = Speakr::new()
        .env("HF_ENDPOINT", "http://hub.invalid")
        .env("HTTP_PROXY", &server.address)
        .env("NO_PROXY", "");
    let _ = pull(&speakr).success();
    assert!(
        server.requests()[0]
            .path
            .starts_with("http://hub.invalid/ggml-org/")
    );
    // The proxy is a dead end, and not for this host.
    let speakr = Speakr::new()
        .env("HF_ENDPOINT", &server.address)
        .env("HTTP_PROXY", "http://127.0.0.1:1")
        .env("NO_PROXY", "127.0.0.1");
    let _ = pull(&speakr).success();
}

#[test]
fn an_endpoint_that_is_no_address_is_the_users_mistake() {
    let speakr = Speakr::new().env("HF_ENDPOINT", "hub");
    let said = pull(&speakr).failure(2).stderr;
    assert!(said.contains("HF_ENDPOINT is \"hub\""), "{said}");
}

#[test]
fn a_damaged_file_is_refused_told_by_verify_and_used_only_when_told() {
    let speakr = Speakr::new();
    let folder = speakr.home().join("models");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("ggml-base.bin"), "not a model").unwrap();
    let said = speakr.run(["models", "path", "base"]).failure(1).stderr;
    assert!(said.contains("--allow-unverified"), "{said}");
    let verify = speakr.run(["models", "verify", "--json"]).failure(1).json();
    let base = verify["files"]
        .as_array()
        .unwrap()
        .iter()
        .find(|f| f["id"] == "base")
        .unwrap();
    assert_eq!(base["verification"], "wrong-digest");
    let path = speakr
        .run(["models", "path", "base", "--allow-unverified"])
        .success()
        .stdout;
    assert_eq!(path.trim(), folder.join("ggml-base.bin").to_str().unwrap());
    let removed = speakr.run(["models", "rm", "base"]).success();
    assert!(
        removed.stderr.contains("Removed base"),
        "{}",
        removed.stderr
    );
}

#[test]
fn a_folder_of_the_user_is_searched_by_digest_and_left_alone() {
    let speakr = Speakr::new();
    let folder = speakr.scratch().join("mine");
    fs::create_dir_all(&folder).unwrap();
    let assets = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../assets/models");
    fs::copy(
        assets.join("ggml-tiny.en-q8_0.bin"),
        folder.join("anything"),
    )
    .unwrap();
    let speakr = speakr.env("SPEAKR_MODELS_DIR", folder.to_str().unwrap());
    let path = speakr.run(["models", "path", "tiny.en-q8_0", "--json"]);
    let path = path.success().json();
    // The same quantisation in other bytes than the published ones: it says so by its id. A program
    // with the model inside takes that one and has no path.
    assert_eq!(path["id"], "tiny.en-q8_0-speakr");
    if let Some(found) = path["path"].as_str() {
        assert_eq!(found, folder.join("anything").to_str().unwrap());
    }
    let _ = speakr
        .run(["models", "rm", "tiny.en-q8_0-speakr"])
        .failure(1);
    assert!(folder.join("anything").exists());
}
