//! What isn't the file is refused, and leaves nothing behind.

use std::fs;

use speakr_models::{Endpoint, ModelError, Trust};

use crate::{
    server::{Answer, Server},
    world::{Bench, file, registry, sha256},
};

#[tokio::test]
async fn another_part_than_was_asked_for_is_not_sewn_on() {
    let server = Server::start(|number, _| match number {
        0 => Answer::CutAfter(file(), 300_000),
        1 => Answer::OtherPart(file(), 100_000),
        _ => Answer::File(file()),
    });
    let bench = Bench::new(&server);
    bench.pull().await.unwrap();
    bench.assert_in_place();
}

#[tokio::test]
async fn a_length_that_is_not_the_file_s_is_refused_before_a_byte_is_kept() {
    for len in [10, file().len() + 1, file().len() - 1] {
        let server = Server::start(move |_, _| Answer::LyingLength(file(), len));
        let bench = Bench::new(&server);
        let error = bench.pull().await.unwrap_err();
        assert!(matches!(error, ModelError::WrongFile { .. }), "{error}");
        assert!(
            error.to_string().contains(&format!("{len} bytes")),
            "{error}"
        );
        assert!(!bench.part().exists());
        bench.assert_absent();
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_file_without_a_length_is_taken_when_it_is_right_and_refused_when_too_long() {
    let server = Server::start(|_, _| Answer::WithoutLength(file()));
    let bench = Bench::new(&server);
    bench.pull().await.unwrap();
    bench.assert_in_place();
    let server = Server::start(|_, _| Answer::WithoutLength([file(), file()].concat()));
    let bench = Bench::new(&server);
    let error = bench.pull().await.unwrap_err();
    assert!(error.to_string().contains("goes on after"), "{error}");
    bench.assert_absent();
}

#[tokio::test]
async fn a_wrong_file_of_the_right_length_is_thrown_away() {
    let mut wrong = file();
    wrong[400_000] ^= 1;
    let server = Server::start(move |_, _| Answer::File(wrong.clone()));
    let bench = Bench::new(&server);
    let error = bench.pull().await.unwrap_err();
    assert!(matches!(error, ModelError::WrongFile { .. }), "{error}");
    assert!(error.to_string().contains(&sha256(&file())), "{error}");
    assert!(!bench.part().exists());
    bench.assert_absent();
}

#[tokio::test]
async fn a_part_of_another_file_is_not_sewn_on() {
    let server = Server::start(|_, _| Answer::File(file()));
    let bench = Bench::new(&server);
    fs::create_dir_all(bench.part().parent().unwrap()).unwrap();
    fs::write(bench.part(), vec![7; 100_000]).unwrap();
    bench.pull().await.unwrap();
    bench.assert_in_place();
    let ranges: Vec<_> = server
        .requests()
        .iter()
        .map(crate::server::Request::range_start)
        .collect();
    assert_eq!(ranges, [Some(100_000), None]);
}

#[tokio::test]
async fn a_part_longer_than_the_file_begins_anew() {
    let server = Server::start(|_, _| Answer::File(file()));
    let bench = Bench::new(&server);
    fs::create_dir_all(bench.part().parent().unwrap()).unwrap();
    fs::write(bench.part(), vec![7; file().len() + 5]).unwrap();
    bench.pull().await.unwrap();
    bench.assert_in_place();
}

#[tokio::test]
async fn a_damaged_file_under_the_right_name_is_replaced() {
    let server = Server::start(|_, _| Answer::File(file()));
    let bench = Bench::new(&server);
    fs::create_dir_all(bench.path().parent().unwrap()).unwrap();
    fs::write(bench.path(), "torn").unwrap();
    let error = bench.store.locate("m", Trust::Verified).unwrap_err();
    assert!(matches!(error, ModelError::WrongDigest { .. }), "{error}");
    bench.pull().await.unwrap();
    bench.assert_in_place();
}

#[tokio::test]
async fn a_missing_file_is_not_asked_for_again() {
    let server = Server::start(|_, _| Answer::Status(404, ""));
    let bench = Bench::new(&server);
    let error = bench.pull().await.unwrap_err();
    assert!(
        matches!(error, ModelError::Refused { status: 404, .. }),
        "{error}"
    );
    assert!(
        error.to_string().contains("By hand: save https://"),
        "{error}"
    );
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn an_unpinned_model_is_pulled_only_when_told() {
    let server = Server::start(|_, _| Answer::File(file()));
    let mut bench = Bench::with(&server, registry(""));
    let error = bench.pull().await.unwrap_err();
    assert!(matches!(error, ModelError::Unpinned { .. }), "{error}");
    assert!(server.requests().is_empty());
    bench.options.trust = Trust::AllowUnverified;
    bench.pull().await.unwrap();
    assert!(!bench.store.list()[0].pinned);
    assert!(bench.store.locate("m", Trust::Verified).is_err());
    bench.store.locate("m", Trust::AllowUnverified).unwrap();
}

#[tokio::test]
async fn a_wrong_file_is_refused_even_when_unverified_ones_are_allowed() {
    let server = Server::start(|_, _| Answer::File(vec![1; file().len()]));
    let mut bench = Bench::new(&server);
    bench.options.trust = Trust::AllowUnverified;
    let error = bench.pull().await.unwrap_err();
    assert!(matches!(error, ModelError::WrongFile { .. }), "{error}");
}

#[test]
fn an_endpoint_that_is_no_address_is_refused() {
    for odd in ["", "huggingface.co", "ftp://hub", "file:///etc"] {
        let error = Endpoint::new(odd).unwrap_err();
        assert!(
            matches!(error, ModelError::BadEndpoint { .. }),
            "{odd}: {error}"
        );
    }
    assert_eq!(
        Endpoint::new("http://hub/").unwrap(),
        Endpoint::new("http://hub").unwrap()
    );
}
