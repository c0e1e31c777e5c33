//! A platform in use, of which one part after the other is killed at random moments: whether anything
//! that was said is lost, or there twice.

pub mod chaos;
pub mod ledger;
pub mod speaker;
pub mod verdict;

use std::{
    collections::BTreeMap,
    fmt,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use chaos::{Hits, Memory, Server, Target};
use futures::StreamExt;
use ledger::{Ledger, Phase, Way};
use serde_json::Value;
use speaker::{Clip, MICROPHONE, Speaker};
use speakr_nats::{Bus, BusConfig, Identity, Renewed};
use speakr_testkit::platform::{Options, Platform, Role};

use crate::{clip, wav};

/// How long all that is under way may take at the end.
const PATIENCE: Duration = Duration::from_secs(420);

/// How often memory is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A run with so many kills of each service has to hit it in every phase of a recording.
const MANY_KILLS: usize = 50;

/// Memory may grow by so much between the second quarter of the calm and the last, as a share …
const GROWTH: f64 = 0.1;
/// … and by so many bytes beside: allocators take some at a time.
const GROWTH_BYTES: u64 = 16_000_000;

/// Clips of the bundled speech, and a word of each.
const CLIPS: [(&str, &str); 3] = [
    ("jfk.wav", "country"),
    ("pv-en.wav", "platform"),
    ("austen-0880.wav", "young"),
];

/// Why it can't be told.
type SoakError = Box<dyn std::error::Error + Send + Sync>;

/// How hard it is to be.
#[derive(Debug, Clone, Copy)]
pub struct Soak {
    /// Chooses all that is random. The moments themselves depend on the machine.
    pub seed: u64,
    /// How often each service is killed.
    pub kills: usize,
    /// How often each of bus, database and store is away for a while, and how often the network to
    /// each is disturbed.
    pub outages: usize,
    /// How many people use it at a time.
    pub speakers: usize,
    /// How long nothing is hit at first, while memory is watched.
    pub calm: Duration,
}

/// What became of it.
#[derive(Debug)]
pub struct Report {
    /// How it was.
    pub soak: Soak,
    /// How many recordings there were.
    pub recordings: usize,
    /// How long it took.
    pub took: Duration,
    /// What was hit, and when.
    pub hits: Hits,
    /// How many recordings of each way there were.
    pub ways: BTreeMap<Way, usize>,
    /// Memory of the services while nothing was hit.
    pub memory: BTreeMap<Role, Memory>,
    /// The same over the blows: of one process after the other.
    pub struck_memory: BTreeMap<Role, Memory>,
    /// Everything that is wrong.
    pub faults: Vec<String>,
}

impl Soak {
    /// Runs it; tells `progress` how many blows are done, of how many.
    ///
    /// # Errors
    /// When the platform doesn't start, or can't be asked.
    pub fn run(self, progress: impl FnMut(usize, usize)) -> Result<Report, SoakError> {
        let began = Instant::now();
        let heard = tempfile::Builder::new().suffix(".wav").tempfile()?;
        let (name, length, _) = MICROPHONE;
        let samples = wav::read(&clip(name));
        let heard_samples = usize::try_from(16 * length.as_millis())?.min(samples.len());
        wav::write(heard.path(), &samples[..heard_samples]);
        let microphone = format!("file:{}", heard.path().display());
        let settings = [
            // A service is killed every few seconds here, and each kill in mid-work is an attempt: by the
            // default of five one in some dozens of commands would be taken for poison. One that takes
            // thirty is a fault. The default is held by the tests of poison.
            ("SPEAKR_MAX_ATTEMPTS", "30"),
            ("SPEAKR_ACK_WAIT", "3s"),
            ("SPEAKR_DECODERS", "1"),
            ("SPEAKR_HOST_CAPTURE", "1"),
            ("SPEAKR_HOST_DEVICE", microphone.as_str()),
        ];
        let mut platform = Platform::start(&Options {
            settings: settings
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .to_vec(),
            with_links: true,
            ..Options::default()
        })?;
        let token = platform.new_token("soak", "read,write,transcribe")?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        let ledger = Arc::new(Ledger::default());
        let enough = Arc::new(AtomicBool::new(false));
        let mut random = fastrand::Rng::with_seed(self.seed);
        let people =
            runtime.block_on(self.people(&platform, &token, &ledger, &enough, &mut random))?;
        let work: Vec<_> = people
            .into_iter()
            .map(|person| runtime.spawn(person.work()))
            .collect();

        let memory = chaos::watch(&mut platform, self.calm, LOOK_EVERY);
        let mut plan: Vec<_> = Role::ALL
            .map(|role| (Target::Service(role), self.kills))
            .to_vec();
        plan.extend(
            [
                Target::Bus,
                Target::Database,
                Target::Store,
                Target::Way(Server::Bus),
                Target::Way(Server::Database),
                Target::Way(Server::Store),
            ]
            .map(|target| (target, self.outages)),
        );
        let struck = chaos::strike(&mut platform, &plan, &ledger, &mut random, progress);
        enough.store(true, Ordering::Relaxed);
        let (hits, struck_memory) = struck?;
        let mut faults = Vec::new();
        runtime.block_on(async {
            for speaker in work {
                match tokio::time::timeout(PATIENCE, speaker).await {
                    Ok(Ok(theirs)) => faults.extend(theirs),
                    Ok(Err(panicked)) => faults.push(panicked.to_string()),
                    Err(_) => faults.push(format!("somebody still waits after {PATIENCE:?}")),
                }
            }
        });
        let all = ledger.all();
        let operator = runtime.block_on(connect(&platform, "operator"))?;
        // The last acknowledgements are on their way, and what was asked again is answered again.
        runtime.block_on(verdict::until_nothing_is_left(&operator))?;
        faults.extend(runtime.block_on(verdict::faults(&platform, &operator, &all))?);
        let mut ways = BTreeMap::new();
        for (_, way) in &all {
            *ways.entry(*way).or_default() += 1;
        }
        faults.extend(self.unseen(&hits, &ways));
        let calm = memory.iter().map(|(role, memory)| (role, memory, CALM));
        let mut grown: Vec<_> = calm.filter_map(grown).collect();
        if self.kills >= MANY_KILLS {
            let struck = struck_memory.iter();
            let struck = struck.map(|(role, memory)| (role, memory, STRUCK));
            grown.extend(struck.filter_map(self::grown));
        }
        faults.extend(grown);
        if !faults.is_empty() {
            faults.push(format!(
                "the logs are in {}",
                keep_logs(&mut platform)?.display()
            ));
        }
        Ok(Report {
            soak: self,
            recordings: all.len(),
            took: began.elapsed(),
            hits,
            ways,
            memory,
            struck_memory,
            faults,
        })
    }

    /// What a long run should have hit or done and didn't.
    fn unseen(&self, hits: &Hits, ways: &BTreeMap<Way, usize>) -> Vec<String> {
        if self.kills < MANY_KILLS {
            return Vec::new();
        }
        let cells = Role::ALL
            .into_iter()
            .flat_map(|role| Phase::OPEN.map(|phase| (Target::Service(role), phase)));
        let hit = cells
            .filter(|cell| !hits.contains_key(cell))
            .map(|(target, phase)| format!("{target} was never hit while a recording was {phase}"));
        let done = Way::ALL
            .into_iter()
            .filter(|way| !ways.contains_key(way))
            .map(|way| format!("there was never a recording of this way: {way}"));
        hit.chain(done).collect()
    }

    async fn people(
        &self,
        platform: &Platform,
        token: &str,
        ledger: &Arc<Ledger>,
        enough: &Arc<AtomicBool>,
        random: &mut fastrand::Rng,
    ) -> Result<Vec<Speaker>, SoakError> {
        let mut clips = Vec::new();
        for (name, word) in CLIPS {
            clips.push(Clip {
                file: std::fs::read(clip(name))?,
                samples: wav::read(&clip(name)),
                word,
            });
        }
        let clips = Arc::new(clips);
        // Another user of this process may have done so already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().build()?;
        listen(&connect(platform, "cli").await?, Arc::clone(ledger)).await?;
        let mut people = Vec::new();
        for _ in 0..self.speakers {
            people.push(Speaker {
                bus: connect(platform, "cli").await?,
                ledger: Arc::clone(ledger),
                http: http.clone(),
                url: platform.url(),
                token: token.to_owned(),
                clips: Arc::clone(&clips),
                enough: Arc::clone(enough),
                random: random.fork(),
            });
        }
        Ok(people)
    }
}

/// When memory was looked at.
const CALM: &str = "while nothing was hit";
/// The same.
const STRUCK: &str = "from the second quarter of the blows to the last";

/// What is wrong with a service's memory.
fn grown((role, memory, when): (&Role, &Memory, &str)) -> Option<String> {
    let bound = memory.early as f64 * (1.0 + GROWTH) + GROWTH_BYTES as f64;
    (memory.late as f64 > bound).then(|| {
        format!(
            "the memory of {} grew from {} to {} bytes {when}",
            role.program(),
            memory.early,
            memory.late
        )
    })
}

/// Copies the logs of the services to where they stay.
fn keep_logs(platform: &mut Platform) -> std::io::Result<PathBuf> {
    let folder = tempfile::Builder::new()
        .prefix("speakr-soak-")
        .tempdir()?
        .keep();
    for role in Role::ALL {
        let log = platform.service_mut(role).log_file().to_owned();
        std::fs::copy(log, folder.join(format!("{}.log", role.program())))?;
    }
    Ok(folder)
}

/// A connection to the bus as `user`.
async fn connect(platform: &Platform, user: &str) -> Result<Bus, SoakError> {
    let config = BusConfig {
        identity: Identity::Password {
            user: user.to_owned(),
            password: Renewed::fixed(platform.password(user)),
        },
        inbox_prefix: Some(format!("_INBOX_{user}")),
        ..BusConfig::new(&platform.nats.url(), "soak")
    };
    Ok(Bus::connect(&config).await?)
}

/// Notes every event.
async fn listen(bus: &Bus, ledger: Arc<Ledger>) -> Result<(), SoakError> {
    let mut events = bus.client().subscribe("speakr.event.>").await?;
    let bus = bus.clone();
    tokio::spawn(async move {
        while let Some(message) = events.next().await {
            if let Ok(event) = serde_json::from_slice::<Value>(&message.payload) {
                ledger.note(&message.subject, &event);
            }
        }
        drop(bus);
    });
    Ok(())
}

fn write_memory(
    f: &mut fmt::Formatter<'_>,
    when: &str,
    memory: &BTreeMap<Role, Memory>,
) -> fmt::Result {
    if memory.is_empty() {
        return Ok(());
    }
    writeln!(f, "\nMemory {when}, MB")?;
    writeln!(f, "{:<20}{:>10}{:>10}{:>10}", "", "early", "late", "peak")?;
    let mb = |bytes: u64| bytes / 1_000_000;
    for (role, memory) in memory {
        writeln!(
            f,
            "{:<20}{:>10}{:>10}{:>10}",
            role.program(),
            mb(memory.early),
            mb(memory.late),
            mb(memory.peak)
        )?;
    }
    Ok(())
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} recordings by {} speakers in {} s; {} kills of each service, {} outages of each \
             server and as many of the way to it; seed {}",
            self.recordings,
            self.soak.speakers,
            self.took.as_secs(),
            self.soak.kills,
            self.soak.outages,
            self.soak.seed
        )?;
        writeln!(f, "\nHow often each was hit while a recording was …")?;
        write!(f, "{:<20}", "")?;
        for phase in Phase::OPEN {
            write!(f, "{:>10}", phase.to_string())?;
        }
        writeln!(f)?;
        let mut targets: Vec<Target> = self.hits.keys().map(|(target, _)| *target).collect();
        targets.dedup();
        for target in targets {
            write!(f, "{:<20}", target.to_string())?;
            for phase in Phase::OPEN {
                write!(f, "{:>10}", self.hits.get(&(target, phase)).unwrap_or(&0))?;
            }
            writeln!(f)?;
        }
        let ways = self
            .ways
            .iter()
            .map(|(way, number)| format!("{number} {way}"));
        let ways: Vec<_> = ways.collect();
        writeln!(f, "\nRecordings: {}", ways.join(", "))?;
        let calm = format!("in {} s without a blow", self.soak.calm.as_secs());
        write_memory(f, &calm, &self.memory)?;
        write_memory(f, "over the blows", &self.struck_memory)?;
        if self.faults.is_empty() {
            return write!(f, "\nNothing is lost, and nothing is there twice.");
        }
        write!(f, "\nWrong:")?;
        for fault in &self.faults {
            write!(f, "\n- {fault}")?;
        }
        Ok(())
    }
}
