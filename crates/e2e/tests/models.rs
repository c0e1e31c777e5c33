//! `speakr models`, with a hub on the loopback.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "test code")]

#[path = "../../adapters/models/tests/server/mod.rs"]
mod server;

use std::{fs, path::PathBuf, time::Duration};

use server::{Answer, Server};
use speakr_e2e::{Finished, Speakr, clip, program::microphone};

/// A published model whose bytes are in the repository.
const MODEL: &str = "silero-vad-v6.2.0";
const FILE: &str = "ggml-silero-v6.2.0.bin";

fn assets() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../assets/models")
}

fn model_bytes() -> Vec<u8> {
    fs::read(assets().join(FILE)).unwrap()
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
    fs::copy(
        assets().join("ggml-tiny.en-q8_0.bin"),
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

#[test]
fn sound_is_captured_while_a_large_model_is_read_for_the_first_time() {
    let speakr = Speakr::new();
    let folder = speakr.home().join("models");
    fs::create_dir_all(&folder).unwrap();
    // As long as the real one, and nothing in it: to be found wrong it has to be read whole.
    let large = fs::File::create(folder.join("ggml-medium.bin")).unwrap();
    large.set_len(1_533_763_059).unwrap();
    let device = microphone("jfk.wav");
    let args = ["record", "--json", "--no-clipboard", "--model", "medium"];
    let mut recording = speakr.start(args.into_iter().chain(["--device", &device]));
    recording.wait_for("Recording");
    recording.wait_for("there will be no text");
    let ended = recording.wait().failure(1);
    assert!(ended.stderr.contains("SHA-256"), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("The sound is kept"),
        "{}",
        ended.stderr
    );
    let args = ["retry", "--json", "--model", "tiny.en-q8_0"];
    let text = speakr.run(args).success().json()["recordings"][0]["text"].to_string();
    assert!(text.contains("fellow Americans"), "{text}");

    // One that isn't there at all is told before anybody speaks.
    let args = ["record", "--model", "small", "--device", &device];
    let refused = speakr.run(args).failure(4);
    assert!(!refused.stderr.contains("Recording"), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("models pull small"),
        "{}",
        refused.stderr
    );
}

/// An embedding model of another name than the bundled one, whose files are those of that one.
fn another_embedder(speakr: &Speakr, id: &str) {
    let folder = speakr.home().join("models").join(id);
    fs::create_dir_all(&folder).unwrap();
    let bundled = assets().join("all-minilm-l6-v2");
    for entry in fs::read_dir(bundled).unwrap() {
        let path = entry.unwrap().path();
        let name = match path.file_name().unwrap().to_str().unwrap() {
            "model_int8.onnx" => "model.onnx",
            other => other,
        };
        fs::copy(&path, folder.join(name)).unwrap();
    }
}

#[test]
fn a_setting_chooses_the_model_that_finds_meaning() {
    const OTHER: &str = "paraphrase-multilingual-minilm-l12-v2";
    let speakr = Speakr::new();
    let path = clip("jfk.wav");
    let _ = speakr.run(["transcribe", path.to_str().unwrap()]).success();
    let search = |model: &str, args: &[&str]| {
        let query = ["search", "--json", "duty of Americans to their nation"];
        let mut command = speakr.command(query.iter().chain(args));
        command.env("SPEAKR_EMBEDDING_MODEL", model);
        speakr.run_command(command)
    };
    // It isn't here: told with the way to get it, and words are found without.
    let missing = search(OTHER, &[]).failure(4);
    let pull = format!("models pull {OTHER}");
    assert!(missing.stderr.contains(&pull), "{}", missing.stderr);
    assert_eq!(search(OTHER, &["--mode", "keyword"]).json()["count"], 1);
    let unknown = search("tiny.en", &[]).failure(4);
    assert!(unknown.stderr.contains("tiny.en"), "{}", unknown.stderr);
    let speech = search("tiny.en-q8_0-speakr", &[]).failure(2);
    assert!(
        speech.stderr.contains("no embedding model"),
        "{}",
        speech.stderr
    );

    another_embedder(&speakr, OTHER);
    let args = ["--mode", "semantic", "--allow-unverified"];
    let by_other = search(OTHER, &args).success().json();
    assert_eq!(by_other["count"], 1, "{by_other}");
    // And back again.
    let by_bundled = search("", &["--mode", "semantic"]).success().json();
    assert_eq!(by_bundled["count"], 1, "{by_bundled}");
    let shown = speakr.run(["doctor", "--json"]).stdout;
    assert!(shown.contains("all-minilm-l6-v2"), "{shown}");
}
