//! versitygw: objects as files of a folder.

use std::{fs, io, net::TcpStream, path::Path, process::Command, time::Duration};

use super::S3;
use crate::process::{Server, StartError, find};

pub(super) const PROGRAM: &str = "versitygw";

/// A busy machine takes its time.
const PATIENCE: Duration = Duration::from_secs(30);

/// The folders in `storage`: objects, their old versions, what is known of them (not every file
/// system keeps attributes), users.
const FOLDERS: [&str; 4] = ["data", "versions", "metadata", "users"];

/// Makes the folders, and the bucket as one that keeps versions; what is there stays.
pub(super) fn set_up(storage: &Path) -> io::Result<()> {
    for folder in FOLDERS {
        fs::create_dir_all(storage.join(folder))?;
    }
    fs::create_dir_all(storage.join("data").join(S3::BUCKET))?;
    let attributes = storage.join("metadata").join(S3::BUCKET).join("meta");
    fs::create_dir_all(&attributes)?;
    // As the server itself notes it when it is asked for it.
    fs::write(attributes.join("versioning"), [1])
}

pub(super) fn start(s3: &S3) -> Result<Server, StartError> {
    let address = format!("127.0.0.1:{}", s3.port);
    let storage = s3.storage();
    let program = find(PROGRAM)?;
    let mut command = match s3.room {
        None => Command::new(program),
        Some(bytes) => in_small_file_system(&program, &storage, bytes)?,
    };
    command
        .env("ROOT_ACCESS_KEY", &s3.access_key)
        .env("ROOT_SECRET_KEY", &s3.secret_key)
        .args(["--port", &address, "--region", S3::REGION, "--quiet"])
        .args(s3.read_only.then_some("--readonly"));
    if let Some(own) = &s3.tls {
        command.arg("--cert").arg(&own.certificate);
        command.arg("--key").arg(&own.key);
    }
    command
        .arg("--iam-dir")
        .arg(storage.join("users"))
        .args(["posix", "--versioning-dir"])
        .arg(storage.join("versions"))
        .arg("--sidecar")
        .arg(storage.join("metadata"))
        .arg(storage.join("data"));
    let ready = || TcpStream::connect(&address).is_ok();
    Server::start(PROGRAM, &mut command, s3.log(), PATIENCE, ready)
}

/// Runs `program` where `storage` is a file system of `bytes` that nobody else sees; what is in the
/// folder is copied into it.
fn in_small_file_system(program: &Path, storage: &Path, bytes: u64) -> Result<Command, StartError> {
    const SCRIPT: &str = r#"
        cp -a "$1" "$1.before" && mount -t tmpfs -o "size=$2" tmpfs "$1" &&
        cp -a "$1.before/." "$1" && shift 2 && exec "$@""#;
    let mut command = Command::new(find("unshare")?);
    if !crate::process::is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command
        .args(["--mount", "sh", "-c", SCRIPT, "small"])
        .arg(storage)
        .arg(bytes.to_string())
        .arg(program);
    Ok(command)
}
