use std::collections::HashMap;

use super::*;

/// Settings as they are with this configuration file and these variables.
fn load_with(
    file: Option<&str>,
    variables: &[(&str, &str)],
    global: &GlobalArgs,
) -> Result<Settings, Failure> {
    let folder = tempfile::tempdir().unwrap();
    if let Some(text) = file {
        std::fs::write(folder.path().join("config.toml"), text).unwrap();
    }
    let variables: HashMap<&str, &str> = variables.iter().copied().collect();
    Settings::from_surroundings(
        global,
        &Surroundings {
            variable: &|name| variables.get(name).map(OsString::from),
            config_dir: Some(folder.path().to_owned()),
            data_dir: Some("/data/speakr".into()),
        },
    )
}

fn load(file: &str) -> Result<Settings, Failure> {
    load_with(Some(file), &[], &GlobalArgs::default())
}

fn refused(file: &str) -> String {
    let failure = load(file).unwrap_err();
    assert_eq!(failure.code(), ExitCode::Usage);
    failure.message().to_owned()
}

#[test]
fn without_a_file_every_value_is_a_default() {
    let settings = load_with(None, &[], &GlobalArgs::default()).unwrap();
    assert_eq!(settings.model, DEFAULT_MODEL);
    assert_eq!(settings.home, PathBuf::from("/data/speakr"));
    assert!(settings.clipboard);
    for setting in TABLE {
        assert_eq!(
            settings.origin(setting.key),
            Origin::Default,
            "{}",
            setting.key
        );
    }
}

#[test]
fn options_win_over_variables_and_those_over_the_file() {
    let file = "model = \"small\"\nhome = \"/from/file\"\nlanguage = \"de\"\n";
    let variables = [("SPEAKR_HOME", "/from/variable"), ("SPEAKR_LANGUAGE", "fr")];
    let global = GlobalArgs {
        home: Some("/from/flag".into()),
        ..GlobalArgs::default()
    };
    let settings = load_with(Some(file), &variables, &global).unwrap();
    assert_eq!(settings.home, PathBuf::from("/from/flag"));
    assert_eq!(settings.origin("home"), Origin::Flag("--home"));
    assert_eq!(settings.language.as_deref(), Some("fr"));
    assert_eq!(
        settings.origin("language"),
        Origin::Environment("SPEAKR_LANGUAGE".into())
    );
    assert_eq!(settings.model, "small");
    let Origin::File(path, line) = settings.origin("model") else {
        panic!("not from the file")
    };
    assert!(path.ends_with("config.toml"));
    assert_eq!(line, 1);
    assert_eq!(settings.origin("tags"), Origin::Default);
}

#[test]
fn every_setting_can_be_set_by_its_variable() {
    let values = HashMap::from([
        ("device", "file:a.wav"),
        ("model", "small"),
        ("embedding_model", "all-minilm-l6-v2"),
        ("language", "de"),
        ("tags", "a,b"),
        ("clipboard", "no"),
        ("format", "srt"),
        ("stop_on_silence", "2s"),
        ("max_duration", "1h"),
        ("retention_days", "30"),
        ("threads", "2"),
        ("ffmpeg", "/opt/ffmpeg"),
        ("models_dir", "/opt/models"),
        ("home", "/opt/home"),
        ("nats_url", "nats://127.0.0.1"),
        ("nats_creds", "/opt/cli.creds"),
        ("nats_user", "cli"),
        ("nats_password", "hush"),
        ("nats_nkey", "hush"),
        ("nats_ca", "/opt/ca.pem"),
        ("nats_cert", "/opt/cert.pem"),
        ("nats_key", "/opt/key.pem"),
        ("nats_inbox_prefix", "_INBOX_x"),
        ("api_url", "http://127.0.0.1"),
        ("api_token", "hush"),
        ("api_token_file", "/opt/token"),
        ("otlp_endpoint", "http://127.0.0.1:4318"),
        ("log", "debug"),
    ]);
    let defaults = load_with(None, &[], &GlobalArgs::default()).unwrap();
    for setting in TABLE {
        let variable = setting.variable();
        let pair = [(variable.as_str(), values[setting.key])];
        let settings = load_with(None, &pair, &GlobalArgs::default()).unwrap();
        assert_ne!(
            settings.json(setting.key),
            defaults.json(setting.key),
            "{}",
            setting.key
        );
        assert_eq!(
            settings.origin(setting.key),
            Origin::Environment(variable.clone())
        );
        let shown = format!("{settings:?} {}", settings.json(setting.key));
        assert!(!shown.contains("hush"), "{shown}");
    }
}

#[test]
fn an_address_is_shown_without_its_password() {
    let variables = [
        ("NATS_URL", "nats://ada:hush@bus:4222,tls://other:4222"),
        ("SPEAKR_API_URL", "https://ada:hush@speakr.example"),
    ];
    let settings = load_with(None, &variables, &GlobalArgs::default()).unwrap();
    assert_eq!(
        settings.json("nats_url"),
        "nats://bus:4222,tls://other:4222"
    );
    assert_eq!(settings.json("api_url"), "https://speakr.example");
    assert!(!format!("{settings:?}").contains("hush"));
    assert!(settings.nats_url.reveal().unwrap().contains("ada:hush@"));
}

#[test]
fn options_choose_the_platform_and_being_alone() {
    let variables = [("NATS_URL", "nats://from.variable")];
    let with = |global: GlobalArgs| load_with(None, &variables, &global).unwrap();
    let url = GlobalArgs {
        nats_url: Some("nats://from.flag".to_owned()),
        ..GlobalArgs::default()
    };
    assert_eq!(with(url).nats_url.reveal(), Some("nats://from.flag"));
    let alone = GlobalArgs {
        local: true,
        ..GlobalArgs::default()
    };
    let settings = with(alone);
    assert_eq!(settings.nats_url.reveal(), None);
    assert_eq!(settings.origin("nats_url"), Origin::Flag("--local"));
}

#[test]
fn the_file_sets_every_kind_of_value() {
    let settings = load(
        "tags = [\"b\", \"a\"]\nclipboard = false\nformat = \"vtt\"\nstop_on_silence = \"1m30s\"\n\
         retention_days = 90\nthreads = 3\nlog = \"warn,speakr=debug\"\n",
    )
    .unwrap();
    assert_eq!(settings.tags, Tags::new(["a", "b"]));
    assert!(!settings.clipboard);
    assert_eq!(settings.format, Some(FormatArg::Vtt));
    assert_eq!(settings.stop_on_silence, Some(Duration::from_secs(90)));
    assert_eq!(settings.retention_days, Some(90));
    assert_eq!(settings.threads, Some(3));
    assert_eq!(settings.log.as_str(), "warn,speakr=debug");
}

#[test]
fn nothing_is_deleted_by_age_unless_a_number_of_days_says_so() {
    assert_eq!(load("").unwrap().retention_days, None);
    assert_eq!(load("retention_days = 0").unwrap().retention_days, None);
    assert!(refused("retention_days = -1").contains("whole number"));
    assert!(refused("retention_days = 1.5").contains("whole number"));
    assert!(refused("retention_days = \"30\"").contains("whole number"));
}

#[test]
fn paths_in_the_file_begin_at_its_folder_or_at_home() {
    let settings = load("models_dir = \"models\"\nffmpeg = \"~/bin/ffmpeg\"\n").unwrap();
    let Origin::File(file, _) = settings.origin("models_dir") else {
        panic!("not from the file")
    };
    assert_eq!(
        settings.models_dir,
        Some(file.parent().unwrap().join("models"))
    );
    if let Ok(home) = etcetera::home_dir() {
        assert_eq!(settings.ffmpeg, Some(home.join("bin/ffmpeg")));
    }
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_the_nearest_one() {
    let message = refused("# mine\nmodel = \"tiny\"\nretention_day = 3\n");
    assert!(message.contains("config.toml:3:"), "{message}");
    assert!(
        message.contains("did you mean \"retention_days\"?"),
        "{message}"
    );
    assert!(refused("stop-on-silence = \"2s\"").contains("\"stop_on_silence\"?"));
    assert!(!refused("zzzz = 1").contains("did you mean"));
    assert!(refused("[record]\ndevice = \"x\"").contains("there is no setting \"record\""));
}

#[test]
fn a_wrong_value_is_refused_with_its_line_and_what_is_wanted() {
    for (file, wanted) in [
        (
            "\nclipboard = \"yes\"",
            ":2: the setting \"clipboard\" is wrong: it wants true or false",
        ),
        (
            "model = 3",
            ":1: the setting \"model\" is wrong: it wants text in quotes",
        ),
        ("format = \"doc\"", "is none of txt, srt, vtt, json, tsv"),
        ("max_duration = \"soon\"", "is no length of time"),
        ("tags = \"a\"", "it wants a list"),
        ("log = \"speakr=loud\"", "is no filter of logs"),
        ("model = \"a\"\nmodel = \"b\"", ":2:"),
        ("model = ", ":1:"),
    ] {
        let message = refused(file);
        assert!(message.contains(wanted), "{file}: {message}");
    }
}

#[test]
fn a_wrong_variable_is_refused_by_its_name() {
    let failure = load_with(
        None,
        &[("SPEAKR_CLIPBOARD", "perhaps")],
        &GlobalArgs::default(),
    )
    .unwrap_err();
    assert!(failure.message().contains("SPEAKR_CLIPBOARD"), "{failure}");
    assert_eq!(failure.code(), ExitCode::Usage);
}

#[test]
fn an_empty_variable_counts_as_unset() {
    let settings = load_with(
        Some("model = \"small\""),
        &[("SPEAKR_MODEL", "")],
        &GlobalArgs::default(),
    );
    assert_eq!(settings.unwrap().model, "small");
}

#[test]
fn a_file_that_an_option_names_must_exist() {
    let global = GlobalArgs {
        config: Some("/no/such/file.toml".into()),
        ..GlobalArgs::default()
    };
    let failure = load_with(None, &[], &global).unwrap_err();
    assert!(
        failure.message().contains("/no/such/file.toml"),
        "{failure}"
    );
}

#[test]
fn a_variable_names_the_place_where_a_file_may_be() {
    let place = [("SPEAKR_CONFIG", "/no/such/file.toml")];
    let settings = load_with(Some("model = \"small\""), &place, &GlobalArgs::default()).unwrap();
    assert_eq!(settings.model, DEFAULT_MODEL);
}

#[test]
fn without_a_home_folder_the_data_folder_must_be_named() {
    let around = Surroundings {
        variable: &|_| None,
        config_dir: None,
        data_dir: None,
    };
    let failure = Settings::from_surroundings(&GlobalArgs::default(), &around).unwrap_err();
    assert_eq!(failure.hint_text(), Some("set SPEAKR_HOME to a folder"));
    let global = GlobalArgs {
        home: Some("/here".into()),
        ..GlobalArgs::default()
    };
    assert!(Settings::from_surroundings(&global, &around).is_ok());
}

#[test]
fn the_example_is_a_valid_file_that_names_every_setting() {
    let active: String = example()
        .lines()
        .filter_map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')))
        .map(|line| format!("{line}\n"))
        .collect();
    let settings = load(&active).unwrap();
    for setting in TABLE {
        assert_eq!(
            settings.origin(setting.key).kind(),
            "file",
            "{}",
            setting.key
        );
    }
    assert_eq!(load(&example()).unwrap().origin("model"), Origin::Default);
}

#[test]
fn the_documented_example_is_the_generated_one() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../docs/config.example.toml"
    );
    let documented = std::fs::read_to_string(path).unwrap();
    assert_eq!(
        documented,
        example(),
        "make it anew: speakr config example > docs/config.example.toml"
    );
}
