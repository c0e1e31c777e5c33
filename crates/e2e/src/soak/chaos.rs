//! Who pulls the plugs.

use std::{
    collections::BTreeMap,
    fmt, thread,
    time::{Duration, Instant},
};

use speakr_testkit::{
    platform::{Platform, Role},
    process::StartError,
    proxy::Proxy,
};

use super::ledger::{Ledger, Phase};

/// Shortest and longest time between two blows, in milliseconds.
const BETWEEN_MS: std::ops::Range<u64> = 200..2_500;

/// Shortest and longest time until a service that was killed is started again, in milliseconds.
const DEAD_MS: std::ops::Range<u64> = 0..800;

/// The same for a server.
const AWAY_MS: std::ops::Range<u64> = 200..3_000;

/// Shortest and longest delay of a slow network, in milliseconds.
const DELAY_MS: std::ops::Range<u64> = 20..400;

/// How long a service may take to be ready again.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// A service is killed.
    Service(Role),
    /// The bus is killed and comes back.
    Bus,
    /// The database is killed and comes back.
    Database,
    /// The store is killed and comes back.
    Store,
    /// The network between the services and one of these is torn, held or slow for a while.
    Way(Server),
}

/// What the services stand on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Server {
    /// The bus.
    Bus,
    /// The database.
    Database,
    /// The store.
    Store,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Service(role) => role.program(),
            Self::Bus => "nats-server",
            Self::Database => "postgres",
            Self::Store => "S3",
            Self::Way(Server::Bus) => "way to nats-server",
            Self::Way(Server::Database) => "way to postgres",
            Self::Way(Server::Store) => "way to S3",
        })
    }
}

/// How often each target was hit while there was a recording in each phase.
pub type Hits = BTreeMap<(Target, Phase), usize>;

/// Hits each target as often as `plan` says, in random order at random moments, and tells `progress`
/// after each how many are done. Gives the memory of each service beside, looked at before each blow.
///
/// # Errors
/// [`StartError`] when something doesn't start again.
pub fn strike(
    platform: &mut Platform,
    plan: &[(Target, usize)],
    ledger: &Ledger,
    random: &mut fastrand::Rng,
    mut progress: impl FnMut(usize, usize),
) -> Result<(Hits, BTreeMap<Role, Memory>), StartError> {
    let mut samples = Samples::new();
    let mut targets: Vec<Target> = plan
        .iter()
        .flat_map(|(target, times)| std::iter::repeat_n(*target, *times))
        .collect();
    random.shuffle(&mut targets);
    let mut hits = Hits::new();
    for (done, target) in targets.iter().enumerate() {
        pause(random, BETWEEN_MS);
        for phase in ledger.phases().into_keys().filter(|p| *p != Phase::Done) {
            *hits.entry((*target, phase)).or_default() += 1;
        }
        look(platform, &mut samples);
        hit(platform, *target, random)?;
        progress(done + 1, targets.len());
    }
    Ok((hits, memory(samples)))
}

fn hit(
    platform: &mut Platform,
    target: Target,
    random: &mut fastrand::Rng,
) -> Result<(), StartError> {
    match target {
        Target::Service(role) => {
            platform.service_mut(role).kill();
            pause(random, DEAD_MS);
            platform.revive()?;
            // Now and then the next blow comes before it is ready.
            if random.u8(..4) > 0 {
                platform.service_mut(role).wait_until_ready(PATIENCE)?;
            }
        }
        Target::Bus => {
            platform.nats.kill();
            pause(random, AWAY_MS);
            platform.nats.start_again()?;
        }
        Target::Database => {
            platform.postgres.kill();
            pause(random, AWAY_MS);
            platform.postgres.start_again()?;
        }
        Target::Store => {
            platform.s3.kill();
            pause(random, AWAY_MS);
            platform.s3.start_again()?;
        }
        Target::Way(server) => {
            if let Some(links) = &platform.links {
                disturb(
                    match server {
                        Server::Bus => &links.nats,
                        Server::Database => &links.postgres,
                        Server::Store => &links.s3,
                    },
                    random,
                );
            }
        }
    }
    Ok(())
}

fn disturb(way: &Proxy, random: &mut fastrand::Rng) {
    match random.u8(..4) {
        0 => way.tear(),
        1 => {
            way.close();
            pause(random, AWAY_MS);
            way.open();
        }
        2 => {
            way.hold();
            pause(random, AWAY_MS);
            way.go_on();
        }
        _ => {
            way.slow_down(Duration::from_millis(random.u64(DELAY_MS)));
            pause(random, AWAY_MS);
            way.slow_down(Duration::ZERO);
        }
    }
}

fn pause(random: &mut fastrand::Rng, range_ms: std::ops::Range<u64>) {
    thread::sleep(Duration::from_millis(random.u64(range_ms)));
}

/// Memory of a service over a time, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// In the middle, over the second quarter of the time.
    pub early: u64,
    /// In the middle, over the last quarter.
    pub late: u64,
    /// The most.
    pub peak: u64,
}

/// Looks at the memory of each service, `every` so often for `time`, in which nothing is hit.
pub fn watch(platform: &mut Platform, time: Duration, every: Duration) -> BTreeMap<Role, Memory> {
    let mut samples = Samples::new();
    let began = Instant::now();
    while began.elapsed() < time {
        look(platform, &mut samples);
        thread::sleep(every);
    }
    memory(samples)
}

type Samples = BTreeMap<Role, Vec<u64>>;

fn look(platform: &mut Platform, samples: &mut Samples) {
    for role in Role::ALL {
        if let Some(bytes) = platform.service_mut(role).resident_bytes() {
            samples.entry(role).or_default().push(bytes);
        }
    }
}

fn memory(samples: Samples) -> BTreeMap<Role, Memory> {
    let middle = |samples: &[u64]| {
        let mut sorted = samples.to_vec();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied()
    };
    samples
        .into_iter()
        .filter_map(|(role, samples)| {
            let quarter = samples.len() / 4;
            let memory = Memory {
                early: middle(samples.get(quarter..2 * quarter)?)?,
                late: middle(samples.get(3 * quarter..)?)?,
                peak: samples.iter().copied().max()?,
            };
            Some((role, memory))
        })
        .collect()
}
