//! `make soak`: the platform in use, of which one part after the other is killed at random moments.

#[cfg(unix)]
#[allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "that is what it is for"
)]
fn main() -> std::process::ExitCode {
    use clap::Parser;
    use speakr_e2e::soak::Soak;

    /// Kills the platform's services at random moments while it is in use, has its servers go away for
    /// a while, and looks whether anything that was said is lost or there twice.
    #[derive(Parser)]
    struct Arguments {
        /// How often each of the three services is killed
        #[arg(long, default_value_t = 200)]
        kills: usize,
        /// How often each of bus, database and store is away for a while, and the way to each disturbed
        #[arg(long, default_value_t = 20)]
        outages: usize,
        /// How many people use it at a time
        #[arg(long, default_value_t = 3)]
        speakers: usize,
        /// For how many seconds nothing is hit at first, while memory is watched
        #[arg(long, default_value_t = 300)]
        calm_seconds: u64,
        /// Chooses all that is random; another each time, where absent
        #[arg(long)]
        seed: Option<u64>,
    }

    let arguments = Arguments::parse();
    let soak = Soak {
        seed: arguments.seed.unwrap_or_else(|| fastrand::u64(..)),
        kills: arguments.kills,
        outages: arguments.outages,
        speakers: arguments.speakers,
        calm: std::time::Duration::from_secs(arguments.calm_seconds),
    };
    eprintln!("Seed {}", soak.seed);
    let report = soak.run(|done, all| {
        if done % 10 == 0 || done == all {
            eprintln!("{done} of {all} blows");
        }
    });
    match report {
        Ok(report) => {
            println!("{report}");
            std::process::ExitCode::from(u8::from(!report.faults.is_empty()))
        }
        Err(error) => {
            eprintln!("error: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}

#[cfg(not(unix))]
fn main() -> std::process::ExitCode {
    std::process::ExitCode::FAILURE
}
