//! Backups are made, restored beside, and answer the same; those of another time are told of.

use std::path::PathBuf;

use reqwest::Method;
use serde_json::Value;
use speakr_e2e::{
    platform::{Platform, Role},
    program::PATIENCE,
    validation::validator,
};
use speakr_testkit::s3::S3;

use crate::{
    backups::{back_up_streams, copy_bucket, dump_database, restore_database, restore_streams},
    operator::Operator,
};

/// The stores, in the order of docs/runbook.md.
const STORES: [&str; 3] = ["database", "streams", "bucket"];

/// Carries out what docs/runbook.md says of backups, from one platform into another.
struct Drill {
    from: Platform,
    to: Platform,
    spare: S3,
    folder: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
    /// Whether backups are taken at all; else what was taken before is all there is.
    backs_up: bool,
}

impl Drill {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn carry_out(&mut self, what: &str) {
        let (dump, streams) = (self.path("speakr.dump"), self.path("streams"));
        match what {
            "backup-database" if self.backs_up => dump_database(&self.from, &dump),
            "backup-streams" if self.backs_up => drop(back_up_streams(&self.from, &streams)),
            "backup-bucket" if self.backs_up => {
                let copy = copy_bucket(&self.from.s3, &self.spare);
                self.runtime.block_on(copy);
            }
            "restore-database" => restore_database(&self.to, &dump),
            "restore-streams" => drop(restore_streams(&self.to, &streams).unwrap()),
            "restore-bucket" => {
                let copy = copy_bucket(&self.spare, &self.to.s3);
                self.runtime.block_on(copy);
            }
            "start" => {
                self.to.revive();
                for role in Role::ALL {
                    let service = self.to.service_mut(role);
                    service.wait_until_ready(PATIENCE).unwrap();
                }
            }
            "prepare" | "remove" => {
                for role in Role::ALL {
                    self.to.service_mut(role).kill();
                }
            }
            other if other.starts_with("backup-") => {}
            other => panic!("nobody knows how to \"{other}\""),
        }
    }

    /// The file that --recovery takes.
    fn plan(&self, operator: &Operator) -> String {
        let mut plan = format!("[beside]\nurl = \"{}\"\n", self.to.url());
        for key in ["prepare", "start", "remove"] {
            plan += &format!("{key} = {:?}\n", operator.command(key));
        }
        for name in STORES {
            let command = |what: &str| operator.command(&format!("{what}-{name}"));
            plan += &format!(
                "[[store]]\nname = \"{name}\"\nbackup = {:?}\nrestore = {:?}\n\
                 point_seconds = 600\ntime_seconds = 600\n",
                command("backup"),
                command("restore")
            );
        }
        operator.write("recovery.toml", &plan)
    }
}

#[test]
#[ignore = "starts three platforms, which takes minutes: make validate-test"]
fn backups_restored_beside_answer_the_same_and_old_ones_are_told_of() {
    let operator = Operator::new();
    let mut drill = Drill {
        from: Platform::start(),
        to: Platform::start(),
        spare: S3::start().unwrap(),
        folder: tempfile::tempdir().unwrap(),
        runtime: tokio::runtime::Runtime::new().unwrap(),
        backs_up: true,
    };
    let run = |drill: &mut Drill, more: &[&str]| {
        let plan = drill.plan(&operator);
        let given = ["--group", "recovery", "--level", "full", "--recovery"];
        let arguments = [&given[..], &[plan.as_str(), "--allow-disruption"], more].concat();
        let mut command = validator(&drill.from, &arguments);
        operator.run(&mut command, |what| drill.carry_out(what))
    };
    let seen = run(&mut drill, &[]);
    seen.passes_but(&[]);
    for store in STORES {
        let detail = &seen.details[&format!("recovery.{store}")];
        assert!(detail.contains("before the loss"), "{detail}");
        println!("{store}: {detail}");
    }
    // It was deleted where it was made.
    let list: Value = drill.runtime.block_on(async {
        let list = drill.from.request(Method::GET, "/api/v1/recordings");
        list.send().await.unwrap().json().await.unwrap()
    });
    assert_eq!(list["count"], 0, "{list}");

    // The same backup again, although nobody took a new one: what is asked for isn't in it.
    drill.backs_up = false;
    drill.to = Platform::start();
    let seen = run(&mut drill, &["--patience", "30"]);
    seen.fails(&["recovery.same-answers"]);
    let green = seen.that("passed");
    assert!(
        !green.iter().any(|name| name.starts_with("recovery.")),
        "{}",
        seen.said
    );
}
