//! `speakr-bench recall`.

use std::{path::PathBuf, sync::Arc};

use speakr_bench::recall::{self, Collection, ModeRecall, SearchableCollection};
use speakr_core::search::SearchMode;
use speakr_fastembed::SentenceEmbedder;

use super::{Failure, bundled_embedder};

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder with paraphrases.tsv, hints.tsv, recordings.tsv and distractors.tsv; the one in the repository if
    /// absent.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Fail when recall@3 of the paraphrases in hybrid mode is below this.
    #[arg(long, default_value_t = 0.85)]
    min_recall_at_3: f64,
    /// Print the queries that failed.
    #[arg(long)]
    missed: bool,
    /// Write all figures as JSON here.
    #[arg(long)]
    json: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<bool, Failure> {
    let collection = match &args.data {
        Some(folder) => Collection::read(folder),
        None => Collection::bundled(),
    }
    .map_err(|e| e as Failure)?;
    let embedder = Arc::new(bundled_embedder()?);
    let runtime = tokio::runtime::Runtime::new()?;
    let figures = runtime
        .block_on(measure_all(&collection, embedder))
        .map_err(|e| e as Failure)?;

    println!(
        "{} recordings among {} distractors",
        collection.recordings.len(),
        collection.distractors.len()
    );
    for (name, modes) in [
        ("paraphrases", &figures.paraphrases),
        ("hints", &figures.hints),
    ] {
        print_table(name, modes);
        if args.missed {
            print_missed(modes);
        }
    }
    if let Some(path) = &args.json {
        std::fs::write(path, serde_json::to_string_pretty(&figures)? + "\n")?;
    }
    let reached = figures
        .paraphrases
        .iter()
        .filter(|mode| mode.mode == SearchMode::Hybrid)
        .all(|mode| mode.recall_at_3 >= args.min_recall_at_3);
    if !reached {
        eprintln!(
            "hybrid recall@3 is below {:.3}: found by meaning has become worse",
            args.min_recall_at_3
        );
    }
    Ok(reached)
}

/// How each set of queries did, in every mode.
#[derive(Debug, serde::Serialize)]
struct Figures {
    paraphrases: Vec<ModeRecall>,
    hints: Vec<ModeRecall>,
}

fn print_table(name: &str, modes: &[ModeRecall]) {
    println!(
        "\n{:<10}{:>10}{:>10}{:>11}   {} {name}",
        "mode",
        "recall@1",
        "recall@3",
        "recall@10",
        modes.first().map_or(0, |mode| mode.queries)
    );
    for mode in modes {
        println!(
            "{:<10}{:>10.3}{:>10.3}{:>11.3}",
            mode.mode.as_str(),
            mode.recall_at_1,
            mode.recall_at_3,
            mode.recall_at_10
        );
    }
}

fn print_missed(modes: &[ModeRecall]) {
    for mode in modes {
        println!("\nnot among the first three, {}:", mode.mode);
        for missed in &mode.missed {
            println!(
                "  \"{}\": {} came {}, first came {}",
                missed.query,
                missed.expected,
                missed
                    .place
                    .map_or_else(|| "after the tenth".to_owned(), |p| format!("at {p}")),
                missed.first.as_deref().unwrap_or("nothing")
            );
        }
    }
}

async fn measure_all(
    collection: &Collection,
    embedder: Arc<SentenceEmbedder>,
) -> Result<Figures, recall::Failure> {
    let total = collection.recordings.len() + collection.distractors.len();
    let progress = |done: usize| {
        if done.is_multiple_of(100) || done == total {
            eprintln!("filed {done} of {total}");
        }
    };
    let searchable = SearchableCollection::file(collection, embedder, &progress).await?;
    let (mut paraphrases, mut hints) = (Vec::new(), Vec::new());
    for mode in [
        SearchMode::Hybrid,
        SearchMode::Semantic,
        SearchMode::Keyword,
    ] {
        paraphrases.push(recall::measure(&searchable, &collection.paraphrases, mode).await?);
        hints.push(recall::measure(&searchable, &collection.hints, mode).await?);
    }
    Ok(Figures { paraphrases, hints })
}
