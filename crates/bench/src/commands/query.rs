//! `speakr-bench query`: the query API over a large index of real text, as its clients find it.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;
use speakr_bench::{
    load::{Failure, ms, percentile},
    text_index::{self, Corpus, RARE, RARE_EVERY},
};
use speakr_core::ports::embedding::Embedder;
use speakr_testkit::platform::{DATABASE, Options, Platform};

use super::bundled_embedder;

/// Results a request.
const LIMIT: usize = 10;

/// Queries whose nearest passages are compared with all cosines.
const EXACT_QUERIES: usize = 100;

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A file with one passage of text a line; scripts/tools.sh corpus makes one.
    #[arg(long)]
    corpus: PathBuf,
    /// Passages in the index.
    #[arg(long, default_value_t = 100_000)]
    passages: usize,
    /// Most characters of a passage: the vectors of long ones take hours.
    #[arg(long, default_value_t = 100)]
    passage_chars: usize,
    /// How long each load lasts, in seconds.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Requests a second of queries that were asked before.
    #[arg(long, default_value_t = 100)]
    known_rate: u32,
    /// Fail when more than one in twenty of those takes longer.
    #[arg(long, default_value_t = 50.0)]
    known_budget_ms: f64,
    /// Requests a second of queries that are new.
    #[arg(long, default_value_t = 10)]
    new_rate: u32,
    /// Fail when more than one in twenty of those takes longer.
    #[arg(long, default_value_t = 120.0)]
    new_budget_ms: f64,
    /// Fail when a smaller share of the ten truly nearest is found.
    #[arg(long, default_value_t = 0.95)]
    least_recall: f64,
}

pub(crate) fn run(args: &Args) -> Result<bool, super::Failure> {
    let embedder: Arc<dyn Embedder> = Arc::new(bundled_embedder()?);
    let runtime = tokio::runtime::Runtime::new()?;
    runtime
        .block_on(measure(args, embedder))
        .map_err(|e| e as super::Failure)
}

async fn measure(args: &Args, embedder: Arc<dyn Embedder>) -> Result<bool, Failure> {
    let corpus = Corpus::load(
        &args.corpus,
        args.passages,
        args.passage_chars,
        embedder.as_ref(),
    )
    .await?;
    let name = format!("{}.{}-data", corpus.len(), args.passage_chars);
    // PostgreSQL works in its own folder.
    let data = std::path::absolute(args.corpus.with_extension(name))?;
    make_reachable(&data)?;
    let mut platform = Platform::start(&Options {
        settings: vec![(
            "SPEAKR_API_REQUESTS_PER_SECOND".to_owned(),
            "1000000".to_owned(),
        )],
        data: Some(data),
        ..Options::default()
    })?;
    platform.transcriber.kill();
    platform.embedder.kill();
    let url = platform.postgres.url(DATABASE);
    text_index::fill(&url, &corpus, embedder.model_id()).await?;
    let processors = std::thread::available_parallelism()?;
    println!(
        "{} passages of real text; the limits are for 2 processors, here are {processors}",
        corpus.len()
    );

    let mut good = true;
    for tag in [None, Some(RARE)] {
        let recall =
            text_index::recall(&url, &corpus, embedder.as_ref(), tag, EXACT_QUERIES).await?;
        let among = tag.map_or("all".to_owned(), |_| format!("one in {RARE_EVERY}"));
        println!("recall@10 against an exact scan, among {among}: {recall:.3}");
        good &= recall >= args.least_recall;
    }

    let token = platform.new_token("bench", "read")?;
    // The client asks for one, though it speaks plain HTTP here.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let load = Load {
        http: reqwest::Client::builder().no_proxy().build()?,
        url: format!("{}/api/v1/query", platform.url()),
        token,
        time: Duration::from_secs(args.seconds),
    };
    println!(
        "{:<34}{:>8}{:>9}{:>9}{:>9}{:>14}",
        "requests", "a second", "median", "p95 ms", "most", "CPU ms each"
    );
    let known: Vec<String> = corpus.queries(50, 1);
    // Each is embedded once.
    for query in &known {
        let answered = load.ask(query, None).await;
        answered.map_err(|error| explain(&error, &platform))?;
    }
    for (name, tags, rate, queries, budget) in [
        (
            "asked before",
            None,
            args.known_rate,
            known.clone(),
            Some(args.known_budget_ms),
        ),
        (
            "asked before, within a rare tag",
            Some(RARE),
            args.known_rate,
            known,
            Some(args.known_budget_ms),
        ),
        (
            "new",
            None,
            args.new_rate,
            corpus.queries(args.new_rate as usize * args.seconds as usize, 2),
            Some(args.new_budget_ms),
        ),
    ] {
        let before = cpu(&platform);
        let times = load.run(rate, &queries, tags).await;
        let times = times.map_err(|error| explain(&error, &platform))?;
        let used = cpu(&platform).saturating_sub(before);
        let p95 = ms(percentile(&times, 0.95));
        println!(
            "{name:<34}{rate:>8}{:>9.1}{p95:>9.1}{:>9.1}{:>14.1}",
            ms(percentile(&times, 0.5)),
            ms(percentile(&times, 1.0)),
            ms(used) / times.len().max(1) as f64
        );
        if budget.is_some_and(|budget| p95 > budget) {
            eprintln!("{name}: one in twenty takes {p95:.1} ms or more");
            good = false;
        }
    }
    platform.end();
    Ok(good)
}

/// The processor time of the API and the database.
fn cpu(platform: &Platform) -> Duration {
    platform.query_svc.cpu_time().unwrap_or_default()
        + platform.postgres.cpu_time().unwrap_or_default()
}

/// PostgreSQL runs as somebody else where root starts it, and has to get there.
fn make_reachable(data: &Path) -> Result<(), Failure> {
    fs::create_dir_all(data)?;
    #[cfg(unix)]
    fs::set_permissions(data, std::os::unix::fs::PermissionsExt::from_mode(0o711))?;
    Ok(())
}

/// `error` with the service's own word on it.
fn explain(error: &Failure, platform: &Platform) -> Failure {
    let log = platform.query_svc.log();
    let why = log.lines().find(|line| line.contains("\"ERROR\""));
    format!("{error}; the service says: {}", why.unwrap_or("nothing")).into()
}

/// Requests at a steady rate, however long the answers take: each is timed from the moment when it
/// was due.
struct Load {
    http: reqwest::Client,
    url: String,
    token: String,
    time: Duration,
}

impl Load {
    async fn run(
        &self,
        rate: u32,
        queries: &[String],
        tag: Option<&str>,
    ) -> Result<Vec<Duration>, Failure> {
        let began = Instant::now();
        let all = f64::from(rate) * self.time.as_secs_f64();
        let mut answers = tokio::task::JoinSet::new();
        let mut number = 0_u32;
        while f64::from(number) < all {
            let due = began + Duration::from_secs(1) * number / rate;
            tokio::time::sleep_until(due.into()).await;
            let request = self.request(
                queries
                    .get(number as usize % queries.len().max(1))
                    .map_or("", String::as_str),
                tag,
            );
            answers.spawn(async move {
                let answer = request.send().await?.error_for_status()?;
                answer.bytes().await?;
                Ok::<_, reqwest::Error>(due.elapsed())
            });
            number += 1;
        }
        let mut times = Vec::new();
        while let Some(answer) = answers.join_next().await {
            times.push(answer??);
        }
        Ok(times)
    }

    async fn ask(&self, query: &str, tag: Option<&str>) -> Result<(), Failure> {
        self.request(query, tag).send().await?.error_for_status()?;
        Ok(())
    }

    fn request(&self, query: &str, tag: Option<&str>) -> reqwest::RequestBuilder {
        let body = match tag {
            None => json!({"query_text": query, "limit": LIMIT}),
            Some(tag) => json!({"query_text": query, "limit": LIMIT, "filter_tags": [tag]}),
        };
        self.http
            .post(&self.url)
            .bearer_auth(&self.token)
            .json(&body)
    }
}
