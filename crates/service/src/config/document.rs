//! The settings as a table for people, generated so that it can't be out of date.

use std::fmt::Write;

use super::{Setting, check};

/// A Markdown document of `settings` under `title`, with `introduction` above the table.
#[must_use]
pub fn markdown(title: &str, introduction: &str, settings: &[Setting]) -> String {
    let mut out = format!(
        "# {title}\n\n{introduction}\n\n| setting | is | default | for |\n|---|---|---|---|\n"
    );
    for setting in settings {
        let default = match (setting.default, setting.required) {
            (Some(text), _) => format!("`{text}`"),
            (None, true) => "**required**".to_owned(),
            (None, false) => "not set".to_owned(),
        };
        let name = if setting.secret {
            format!("`{0}` or `{0}_FILE`", setting.name)
        } else {
            format!("`{}`", setting.name)
        };
        let is = check::wanted(setting.kind);
        let secret = if setting.secret { " (secret)" } else { "" };
        // Writing to a string can't fail.
        let _ = writeln!(
            out,
            "| {name} | {is}{secret} | {default} | {} |",
            setting.doc
        );
    }
    out
}
