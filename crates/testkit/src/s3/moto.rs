//! moto's S3. Its authentication can be switched on, but takes a listing whose prefix has a slash for
//! badly signed (it looks at the decoded query): so it is on only where keys are what is tested. It keeps everything in memory and writes each
//! request down; a new one that is given the same requests, and the same seed for its random
//! numbers, is where the old one was.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, TcpStream},
    path::Path,
    process::Command,
    time::Duration,
};

use super::{S3, log_in};
use crate::process::{Server, StartError, find};

pub(super) const PROGRAM: &str = "moto_server";

/// Python takes its time to begin.
const PATIENCE: Duration = Duration::from_secs(60);

/// Requests that need no signature: those of [`set_up`], without the seed.
const UNSIGNED: &str = "5";

const USER: &str = "speakr";

/// May do everything with objects and buckets.
const POLICY: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}"#;

const VERSIONS: &str = "<VersioningConfiguration \
    xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Status>Enabled</Status>\
    </VersioningConfiguration>";

pub(super) fn start(port: u16, folder: &Path, guarded: bool) -> Result<Server, StartError> {
    let mut command = Command::new(find(PROGRAM)?);
    command
        .args(["-H", "127.0.0.1", "-p", &port.to_string()])
        .env(
            "INITIAL_NO_AUTH_ACTION_COUNT",
            if guarded { UNSIGNED } else { "inf" },
        )
        .env("MOTO_ENABLE_RECORDING", "1")
        .env("MOTO_RECORDER_FILEPATH", folder.join("requests"));
    let ready = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
    Server::start(PROGRAM, &mut command, log_in(folder), PATIENCE, ready)
}

/// Makes a user and the bucket; gives the user's keys. A guarded server serves only that user from
/// then on.
pub(super) fn set_up(port: u16) -> Result<(String, String), StartError> {
    let server = Door { port };
    server.ask("POST", &format!("/moto-api/seed?a={port}"), "s3", "")?;
    let user = |action: &str, more: &str| {
        let body = format!("Action={action}&Version=2010-05-08&UserName={USER}{more}");
        server.ask("POST", "/", "iam", &body)
    };
    user("CreateUser", "")?;
    let keys = user("CreateAccessKey", "")?;
    let policy = format!("&PolicyName=all&PolicyDocument={}", escaped(POLICY));
    user("PutUserPolicy", &policy)?;
    let bucket = format!("/{}", S3::BUCKET);
    server.ask("PUT", &bucket, "s3", "")?;
    server.ask("PUT", &format!("{bucket}?versioning"), "s3", VERSIONS)?;
    let between = |tag: &str| {
        let (_, rest) = keys.split_once(&format!("<{tag}>"))?;
        Some(rest.split_once('<')?.0.to_owned())
    };
    match (between("AccessKeyId"), between("SecretAccessKey")) {
        (Some(access), Some(secret)) => Ok((access, secret)),
        _ => Err(refused("gave no keys".to_owned())),
    }
}

/// Has all requests done again that the one before was sent.
pub(super) fn replay(port: u16) -> Result<(), StartError> {
    let door = Door { port };
    let path = "/moto-api/recorder/replay-recording";
    door.ask("POST", path, "s3", "").map(drop)
}

fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn refused(what: String) -> StartError {
    StartError::NotReady {
        program: PROGRAM,
        what,
        log: String::new(),
    }
}

struct Door {
    port: u16,
}

impl Door {
    /// Sends a request to `service`; gives the body of the answer.
    fn ask(
        &self,
        method: &str,
        path: &str,
        service: &str,
        body: &str,
    ) -> Result<String, StartError> {
        let answer =
            self.send(method, path, service, body)
                .map_err(|source| StartError::Start {
                    program: PROGRAM,
                    source,
                })?;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.lines().next().unwrap_or_default();
        if status.contains(" 200") {
            Ok(body.to_owned())
        } else {
            Err(refused(format!("answered {method} {path} with {status}")))
        }
    }

    fn send(&self, method: &str, path: &str, service: &str, body: &str) -> io::Result<String> {
        // IAM takes forms; S3 would take a form apart that is none.
        let kind = match service {
            "iam" => "application/x-www-form-urlencoded",
            _ => "application/xml",
        };
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        // The header's scope tells moto which service is meant; nobody checks the rest yet.
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential=none/20260101/{region}/{service}/aws4_request, \
             SignedHeaders=host, Signature=0\r\n\
             Content-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}",
            port = self.port,
            region = S3::REGION,
            length = body.len(),
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }
}
