//! What ffmpeg says of an input that it opened.

/// The part of ffmpeg's report that describes the input, where it could open it.
pub(crate) fn description(report: &str) -> Option<&str> {
    report.find("Input #0, ").and_then(|at| report.get(at..))
}

/// "    Stream #0:0(eng): Audio: aac …" or "  Stream #0:1[0x2]: Audio: …".
pub(crate) fn is_sound_stream(line: &str) -> bool {
    line.trim_start().starts_with("Stream #0:") && line.contains(": Audio: ")
}

/// "  Duration: 00:01:02.34, start: …", indented by exactly two (metadata stands deeper).
pub(crate) fn duration_in(description: &str) -> Option<u64> {
    let line = description
        .lines()
        .find_map(|line| line.strip_prefix("  Duration: "))?;
    let clock = line.split(',').next()?.trim();
    let mut parts = clock.split(':');
    let (hours, minutes, seconds) = (parts.next()?, parts.next()?, parts.next()?);
    let (seconds, fraction) = seconds.split_once('.').unwrap_or((seconds, "0"));
    let whole = hours.parse::<u64>().ok()? * 3600
        + minutes.parse::<u64>().ok()? * 60
        + seconds.parse::<u64>().ok()?;
    let mut milliseconds = 0;
    let mut unit = 100;
    for digit in fraction.chars().take(3) {
        milliseconds += u64::from(digit.to_digit(10)?) * unit;
        unit /= 10;
    }
    Some(whole * 1000 + milliseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_is_read_from_the_report_and_not_from_metadata() {
        let report = "Input #0, mp3, from 'x':\n  Metadata:\n    title           : a\n    Duration: 00:09:09.00, fake\n  Duration: 01:02:03.45, start: 0.025057, bitrate: 64 kb/s\n  Stream #0:0: Audio: mp3, 44100 Hz\n";
        assert_eq!(duration_in(description(report).unwrap()), Some(3_723_450));
        assert!(report.lines().any(is_sound_stream));
    }

    #[test]
    fn an_unknown_length_is_none() {
        assert_eq!(
            duration_in("Input #0, aac\n  Duration: N/A, bitrate: N/A\n"),
            None
        );
    }
}
