//! `speakr search`.

use clap::{Args, ValueEnum};
use speakr_api::MOST_RESULTS;
use speakr_core::search::{SearchMode, SearchRequest, SearchResult};

use crate::{
    args::FilterArgs,
    compose::App,
    failure::{ExitCode, Failure},
    output::{clock, local_time},
};

/// What to find.
#[derive(Debug, Args)]
pub(crate) struct SearchArgs {
    /// What was said, in any words
    #[arg(value_name = "QUERY", required = true, num_args = 1..)]
    query: Vec<String>,
    #[command(flatten)]
    filter: FilterArgs,
    /// By meaning and words, by meaning alone, or by words alone
    #[arg(long, short, value_enum, default_value_t = ModeArg::Hybrid)]
    mode: ModeArg,
    /// At most this many recordings
    #[arg(long, short = 'n', value_name = "N", default_value_t = 10)]
    limit: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ModeArg {
    Hybrid,
    Semantic,
    Keyword,
}

impl From<ModeArg> for SearchMode {
    fn from(mode: ModeArg) -> Self {
        match mode {
            ModeArg::Hybrid => Self::Hybrid,
            ModeArg::Semantic => Self::Semantic,
            ModeArg::Keyword => Self::Keyword,
        }
    }
}

/// Finds recordings and the moments in them.
pub(crate) async fn run(app: &App, args: &SearchArgs) -> Result<(), Failure> {
    let request = SearchRequest {
        query: args.query.join(" "),
        filter: args.filter.filter(),
        mode: args.mode.into(),
        limit: args.limit.clamp(1, 1_000),
    };
    let shelf = app.shelf().await?;
    shelf.warn_of_most(app.output, args.limit, MOST_RESULTS);
    let response = shelf.search(&request).await?;
    if app.output.is_json() {
        return app.output.print_json(&response);
    }
    if response.results.is_empty() {
        return Err(Failure::new(ExitCode::NotFound, "nothing was found"));
    }
    for result in &response.results {
        app.output.print(&paragraph(result))?;
    }
    Ok(())
}

fn paragraph(result: &SearchResult) -> String {
    let mut text = format!(
        "{}  {}  {}",
        result
            .similarity
            .map_or_else(|| "   -".to_owned(), |s| format!("{s:.2}")),
        local_time(result.created_at),
        result.recording_id.short(),
    );
    if !result.tags.is_empty() {
        text.push_str(&format!("  [{}]", super::list::tags(&result.tags)));
    }
    for passage in &result.passages {
        let words = super::list::shorten(&passage.text, 240);
        text.push_str(&format!("\n      {}  {words}", clock(passage.start_ms)));
    }
    text
}
