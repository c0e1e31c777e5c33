//! The expected load is made, and what is measured stands beside its limits.

use speakr_e2e::{platform::Platform, validation::validator};

use crate::operator::Operator;

/// A load that two busy cores carry.
const LOAD: &str = "[local]\nseconds = 5\nsearches_per_second = 2.0\nspeakers = 1\n\
    files_per_minute = 12.0\nrecordings = 1\n[local.limits]\nerrors_percent = 0.0\n";

/// Limits that hold, and limits that can't.
const WIDE: &str = "search_p95_ms = 60000\ntext_after_stop_p95_ms = 60000\nfile_factor_p95 = 10.0\n\
    memory_mb = { transcriber = 8000, embedder = 8000, query_svc = 8000 }\n";
const NARROW: &str = "search_p95_ms = 0.1\ntext_after_stop_p95_ms = 0.1\nfile_factor_p95 = 0.0001\n\
    memory_mb = { transcriber = 1, embedder = 1, query_svc = 1 }\n";

#[test]
#[ignore = "takes a minute of load: make validate-test"]
fn the_expected_load_is_made_and_measured_beside_its_limits() {
    let operator = Operator::new();
    let platform = Platform::start();
    let run = |limits: &str| {
        let file = operator.write("load.toml", &format!("{LOAD}{limits}"));
        let mut command = validator(&platform, &["--group", "load", "--load", &file]);
        operator.run(&mut command, |what| panic!("{what}"))
    };
    let seen = run(WIDE);
    // Only Linux tells them their memory.
    let tells_memory = cfg!(target_os = "linux");
    seen.passes_but(if tells_memory { &[] } else { &["load.memory"] });
    let detail = &seen.details["load.search"];
    let of: usize = detail.rsplit(' ').next().unwrap().parse().unwrap();
    assert!((8..=12).contains(&of), "{detail}");

    let seen = run(NARROW);
    let mut red = vec!["load.files", "load.search", "load.speech"];
    if tells_memory {
        red.insert(1, "load.memory");
    }
    assert_eq!(seen.that("failed"), red, "{}", seen.said);
    let green = seen.that("passed");
    assert!(green.contains(&"load.errors"), "{}", seen.said);
    assert_eq!(seen.code, Some(1), "{}", seen.said);
}
