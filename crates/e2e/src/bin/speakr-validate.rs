//! `speakr-validate`: whether an environment does what it should.

#[cfg(unix)]
fn main() -> std::process::ExitCode {
    use clap::Parser;
    use speakr_e2e::validate::{Arguments, run};

    let arguments = Arguments::parse();
    match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime.block_on(run(arguments)),
        Err(_) => std::process::ExitCode::FAILURE,
    }
}

#[cfg(not(unix))]
fn main() -> std::process::ExitCode {
    std::process::ExitCode::FAILURE
}
