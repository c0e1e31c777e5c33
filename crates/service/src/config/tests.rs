use std::{ffi::OsString, fs, time::Duration};

use super::*;

const PORT: Setting = Setting::new(
    "PORT",
    Kind::Number {
        min: 1,
        max: 65_535,
    },
    "A port.",
)
.default("80");
const BUS: Setting = Setting::new("BUS", Kind::Url, "The bus.").required();
const KEY: Setting = Setting::new("KEY", Kind::Text, "The key.")
    .secret()
    .required();
const WAIT: Setting = Setting::new("WAIT", Kind::Duration, "How long.").default("90s");
const LOUD: Setting = Setting::new("LOUD", Kind::Flag, "Whether.");
const STYLE: Setting = Setting::new("STYLE", Kind::Choice(&["a", "b"]), "Which.").default("a");
const LISTEN: Setting = Setting::new("LISTEN", Kind::Address, "Where.").default("127.0.0.1:0");
const TABLE: &[Setting] = &[PORT, BUS, KEY, WAIT, LOUD, STYLE, LISTEN];

fn read(given: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let given: BTreeMap<String, String> = given
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
    Config::read(&[TABLE], |name| given.get(name).map(OsString::from))
}

#[test]
fn what_is_set_is_taken_and_the_rest_has_its_default() {
    let config = read(&[
        ("BUS", "nats://localhost:4222"),
        ("KEY", "k"),
        ("LOUD", "1"),
        ("PORT", ""),
    ])
    .unwrap();
    assert_eq!(config.number(&PORT).unwrap(), 80);
    assert_eq!(config.url(&BUS).unwrap().host_str(), Some("localhost"));
    assert_eq!(config.duration(&WAIT).unwrap(), Duration::from_secs(90));
    assert!(config.flag(&LOUD).unwrap());
    assert_eq!(config.text(&STYLE).unwrap(), "a");
    assert_eq!(
        config.secret(&KEY).unwrap().current().unwrap().expose(),
        "k"
    );
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let error = read(&[
        ("PORT", "70000"),
        ("WAIT", "soon"),
        ("LOUD", "perhaps"),
        ("STYLE", "c"),
        ("LISTEN", "everywhere"),
    ])
    .unwrap_err();
    assert_eq!(error.0.len(), 7, "{error}");
    let text = error.to_string();
    for part in [
        "PORT is \"70000\"",
        "BUS isn't set: The bus.",
        "KEY isn't set",
        "one of a, b",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn no_secret_and_no_password_in_a_url_is_ever_shown() {
    let hidden = "hush-hush";
    let error = read(&[("BUS", &format!("user:{hidden}@host")), ("KEY", "k")]).unwrap_err();
    assert!(!error.to_string().contains(hidden), "{error}");
    let url = format!("nats://user:{hidden}@h:1");
    let config = read(&[("BUS", &url), ("KEY", hidden)]).unwrap();
    assert!(!format!("{config:?}").contains(hidden), "{config:?}");
    let text = config.secret(&KEY).unwrap().current().unwrap();
    assert!(!format!("{text:?}").contains(hidden));
}

#[test]
fn a_secret_in_a_file_is_read_again_when_the_file_changes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    fs::write(&file, "first\n").unwrap();
    let name = file.to_str().unwrap();
    let config = read(&[("BUS", "nats://h:1"), ("KEY_FILE", name)]).unwrap();
    let secret = config.secret(&KEY).unwrap();
    assert_eq!(secret.current().unwrap().expose(), "first");
    // As secrets are replaced for real: another file takes the place of the first.
    let next = folder.path().join("next");
    fs::write(&next, "other\n").unwrap();
    fs::rename(&next, &file).unwrap();
    assert_eq!(secret.current().unwrap().expose(), "other");
    fs::remove_file(&file).unwrap();
    assert!(matches!(
        secret.current(),
        Err(SecretError::Unreadable { .. })
    ));
}

#[test]
fn a_secret_given_twice_or_in_an_unreadable_or_empty_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty");
    fs::write(&empty, "\n").unwrap();
    let absent = folder.path().join("absent");
    let refused = |given: &[(&str, &str)]| {
        read(&[&[("BUS", "nats://h:1")], given].concat())
            .unwrap_err()
            .0
    };
    let twice = refused(&[("KEY", "k"), ("KEY_FILE", "f")]);
    assert_eq!(twice, [SettingError::Twice { name: "KEY" }]);
    let unreadable = refused(&[("KEY_FILE", absent.to_str().unwrap())]);
    assert!(matches!(
        unreadable[..],
        [SettingError::Secret(SecretError::Unreadable { .. })]
    ));
    let empty = refused(&[("KEY_FILE", empty.to_str().unwrap())]);
    assert!(matches!(
        empty[..],
        [SettingError::Secret(SecretError::Empty { .. })]
    ));
}

#[test]
fn a_length_of_time_has_a_unit_and_fits() {
    for (text, wanted) in [("500ms", 500), ("2h", 7_200_000), ("7d", 604_800_000)] {
        assert_eq!(
            check::duration(&WAIT, text).unwrap(),
            Duration::from_millis(wanted)
        );
    }
    for text in [
        "",
        "s",
        "10",
        "1.5s",
        "-1s",
        "10w",
        "99999999999999999999d",
        "9223372036854775807d",
    ] {
        assert!(check::duration(&WAIT, text).is_err(), "{text}");
    }
}
