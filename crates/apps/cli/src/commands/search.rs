//! `speakr search`.

use std::sync::{Arc, OnceLock};

use clap::{Args, ValueEnum};
use indicatif::ProgressBar;
use speakr_api::MOST_RESULTS;
use speakr_core::{
    search::{SearchMode, SearchRequest, SearchResult},
    usecases::library::Progress,
};

use crate::{
    args::FilterArgs,
    compose::App,
    failure::{ExitCode, Failure},
    output::{Output, clock, local_time},
    shelf::Shelf,
    terminal::screen,
};

/// Fewer texts are read before anybody wonders.
const WORTH_TELLING: usize = 5;

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
    if matches!(shelf, Shelf::Here(_)) && request.mode != SearchMode::Keyword {
        // A missing model is told with the way to get it.
        app.embedding_model()?.locate()?;
    }
    let reading = Reading::new(app.output);
    let response = shelf.search(&request, &|far| reading.show(far)).await?;
    drop(reading);
    if app.output.is_json() {
        app.output.print_json(&response)?;
    }
    if response.results.is_empty() {
        return Err(Failure::new(ExitCode::NotFound, "nothing was found"));
    }
    if !app.output.is_json() {
        for result in &response.results {
            app.output.print(&paragraph(result))?;
        }
    }
    Ok(())
}

/// What a person sees while texts are read for their meaning: after a change of the model, all.
struct Reading {
    output: Output,
    bar: OnceLock<Arc<ProgressBar>>,
}

impl Reading {
    const fn new(output: Output) -> Self {
        Self {
            output,
            bar: OnceLock::new(),
        }
    }

    fn show(&self, far: Progress) {
        if far.total < WORTH_TELLING {
            return;
        }
        let bar = self.bar.get_or_init(|| {
            let bar = screen::bar(self.output, "{bar:24} {pos}/{len} texts read, {eta} left");
            if bar.is_hidden() {
                let texts = format!("Reading {} texts for their meaning…", far.total);
                self.output.say(&texts);
            }
            bar.set_length(far.total as u64);
            bar
        });
        bar.set_position(far.done as u64);
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.get() {
            bar.finish_and_clear();
        }
    }
}

fn paragraph(result: &SearchResult) -> String {
    let mut text = format!(
        "{}  {}  {}",
        // What the order follows: the similarity is another number where words count too.
        result
            .passages
            .first()
            .map_or_else(|| "   -".to_owned(), |best| format!("{:.2}", best.score)),
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
