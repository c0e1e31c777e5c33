//! How many cores are free: whisper.cpp's threads wait for each other by spinning, and one that
//! doesn't get its core makes all the others burn theirs.

use std::{
    sync::{Mutex, PoisonError},
    thread::available_parallelism,
};

/// Watches how busy the machine is with other things.
#[derive(Debug)]
pub(crate) struct FreeCores {
    cores: usize,
    last: Mutex<Option<Sample>>,
}

/// Counters since boot, in the system's clock ticks.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Sample {
    /// All cores together, idle or not.
    total: u64,
    /// All cores together, at work for anybody.
    busy: u64,
    /// At work for this process.
    own: u64,
}

impl FreeCores {
    /// Starts watching.
    pub(crate) fn new() -> Self {
        Self {
            cores: available_parallelism().map_or(1, usize::from),
            last: Mutex::new(sample()),
        }
    }

    /// Cores that others left free since the last call; at least one. All, where the system
    /// doesn't tell (other systems than Linux) or the time was too short to say.
    pub(crate) fn count(&self) -> usize {
        let Some(now) = sample() else {
            return self.cores;
        };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(before) = *last else {
            *last = Some(now);
            return self.cores;
        };
        // Less than about 50 ms of one core: too coarse.
        if now.total.saturating_sub(before.total) < 5 {
            return self.cores;
        }
        *last = Some(now);
        free(self.cores, before, now)
    }
}

fn free(cores: usize, before: Sample, now: Sample) -> usize {
    let total = now.total.saturating_sub(before.total).max(1) as f64;
    let own = now.own.saturating_sub(before.own) as f64;
    let others = (now.busy.saturating_sub(before.busy) as f64 - own).max(0.0);
    let free = (cores as f64 * (1.0 - others / total)).round() as usize;
    free.clamp(1, cores.max(1))
}

#[cfg(target_os = "linux")]
fn sample() -> Option<Sample> {
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    let own = std::fs::read_to_string("/proc/self/stat").ok()?;
    parse(&stat, &own)
}

#[cfg(not(target_os = "linux"))]
fn sample() -> Option<Sample> {
    None
}

/// Reads the first line of `/proc/stat` and the own `/proc/self/stat` (proc(5)).
#[cfg(any(target_os = "linux", test))]
fn parse(stat: &str, own: &str) -> Option<Sample> {
    let ticks: Vec<u64> = stat
        .lines()
        .next()?
        .strip_prefix("cpu ")?
        .split_whitespace()
        // user, nice, system, idle, iowait, irq, softirq, steal; guest time is part of user.
        .take(8)
        .filter_map(|t| t.parse().ok())
        .collect();
    let total = ticks.iter().sum();
    let idle = ticks.get(3)? + ticks.get(4).copied().unwrap_or(0);
    // The name may hold spaces and brackets: fields are counted from its closing bracket.
    let fields: Vec<&str> = own.rsplit_once(')')?.1.split_whitespace().collect();
    let user: u64 = fields.get(11)?.parse().ok()?;
    let system: u64 = fields.get(12)?.parse().ok()?;
    Some(Sample {
        total,
        busy: total - idle,
        own: user + system,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_that_others_use_are_not_free_and_own_work_does_not_count() {
        let before = Sample {
            total: 1_000,
            busy: 500,
            own: 100,
        };
        let after = |busy: u64, own: u64| Sample {
            total: 1_400,
            busy: 500 + busy,
            own: 100 + own,
        };
        assert_eq!(free(4, before, after(0, 0)), 4);
        assert_eq!(free(4, before, after(200, 0)), 2);
        assert_eq!(free(4, before, after(200, 200)), 4);
        assert_eq!(free(4, before, after(400, 0)), 1);
    }

    #[test]
    fn the_counters_of_proc_are_read() {
        let stat = "cpu  10 1 5 80 4 0 0 0 0 0\ncpu0 1 2 3\n";
        let own = "42 (a (b) c) R 1 1 1 0 -1 4194560 100 0 0 0 7 3 0 0 20 0 1 0";
        let expected = Sample {
            total: 100,
            busy: 16,
            own: 10,
        };
        assert_eq!(parse(stat, own), Some(expected));
    }

    #[test]
    fn there_is_always_a_core() {
        assert!(FreeCores::new().count() >= 1);
    }
}
