//! `speakr tag`.

use clap::Args;
use serde::Serialize;
use speakr_core::{RecordingId, Tags};

use crate::{
    compose::App,
    failure::{ExitCode, Failure},
};

/// Which recording, and its tags.
#[derive(Debug, Args)]
pub(crate) struct TagArgs {
    /// The recording; the first digits of its id do
    #[arg(value_name = "ID")]
    id: String,
    /// Tags to add
    #[arg(value_name = "TAG", value_delimiter = ',')]
    add: Vec<String>,
    /// Tags to remove
    #[arg(long, short, value_name = "A,B", value_delimiter = ',')]
    remove: Vec<String>,
}

#[derive(Serialize)]
struct TagJson {
    recording_id: RecordingId,
    tags: Tags,
}

/// Adds and removes tags; without any, shows them.
pub(crate) async fn run(app: &App, args: &TagArgs) -> Result<(), Failure> {
    let shelf = app.shelf().await?;
    let id = shelf.resolve(&args.id).await?;
    let (add, remove) = (Tags::new(&args.add), Tags::new(&args.remove));
    let both: Vec<_> = add
        .iter()
        .filter(|t| remove.contains_all(&Tags::new([*t])))
        .collect();
    if !both.is_empty() {
        return Err(Failure::new(
            ExitCode::Usage,
            format!("\"{}\" can't be both added and removed", both.join(",")),
        ));
    }
    let tags = shelf.tag(id, &add, &remove).await?;
    if app.output.is_json() {
        return app.output.print_json(&TagJson {
            recording_id: id,
            tags,
        });
    }
    app.output
        .print(&format!("{}  [{}]", id.short(), super::list::tags(&tags)))
}
