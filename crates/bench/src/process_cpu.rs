//! What this process has used so far.

/// Processor seconds of all threads; 0 where the system doesn't tell (other systems than Linux).
#[must_use]
pub fn seconds() -> f64 {
    // utime and stime, in ticks of 10 ms (proc(5); every Linux that we know has 100 a second).
    std::fs::read_to_string("/proc/self/stat")
        .ok()
        .and_then(|stat| {
            let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
            let ticks: u64 =
                fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
            Some(ticks as f64 / 100.0)
        })
        .unwrap_or(0.0)
}

/// Most memory that was in use at once, in megabytes; 0 where the system doesn't tell.
#[must_use]
pub fn peak_rss_mb() -> f64 {
    peak_rss_mb_of("self")
}

/// The same of the process with this number.
#[must_use]
pub fn peak_rss_mb_of(process: &str) -> f64 {
    std::fs::read_to_string(format!("/proc/{process}/status"))
        .ok()
        .and_then(|status| {
            let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
            line.trim()
                .trim_end_matches("kB")
                .trim()
                .parse::<f64>()
                .ok()
        })
        .map_or(0.0, |kb| kb / 1024.0)
}
