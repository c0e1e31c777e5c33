//! A small HTTP server that behaves, or misbehaves as it is told. It counts what it was asked.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::{
    io::{BufRead, BufReader, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

/// One request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) path: String,
    /// Header lines, names in lower case.
    pub(crate) headers: Vec<(String, String)>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    /// Where the asked-for range begins.
    pub(crate) fn range_start(&self) -> Option<usize> {
        self.header("range")?
            .strip_prefix("bytes=")?
            .strip_suffix('-')?
            .parse()
            .ok()
    }
}

/// What to answer.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// The file, or the part asked for.
    File(Vec<u8>),
    /// The whole file whatever part is asked for.
    WholeFile(Vec<u8>),
    /// Headers for the whole file, so many bytes of it, and a closed connection.
    CutAfter(Vec<u8>, usize),
    /// Headers for the whole file, so many bytes of it, and then nothing for a long time.
    StallAfter(Vec<u8>, usize),
    /// The file without a length, to the end of the connection.
    WithoutLength(Vec<u8>),
    /// A length that isn't the file's.
    LyingLength(Vec<u8>, usize),
    /// The file in pieces with a pause after each.
    Slowly(Vec<u8>, usize, Duration),
    /// A status, with a header line.
    Status(u16, &'static str),
    /// Somewhere else.
    Redirect(String),
    /// A part that wasn't asked for.
    OtherPart(Vec<u8>, usize),
}

type Handler = dyn Fn(usize, &Request) -> Answer + Send + Sync;

/// A server on a free port of the loopback. It ends with the process.
pub(crate) struct Server {
    pub(crate) address: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// `answer` gets the number of the request, from 0, and the request.
    pub(crate) fn start(
        answer: impl Fn(usize, &Request) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, answer): (_, Arc<Handler>) = (Arc::clone(&requests), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                thread::spawn(move || {
                    let Some(request) = read_request(&stream) else {
                        return;
                    };
                    let number = {
                        let mut seen = seen.lock().expect("no panic before");
                        seen.push(request.clone());
                        seen.len() - 1
                    };
                    // The client may hang up at any time.
                    let _ = write_answer(&stream, &request, answer(number, &request));
                });
            }
        });
        Self { address, requests }
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("no panic before").clone()
    }
}

fn read_request(stream: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(stream).lines();
    let path = lines.next()?.ok()?.split(' ').nth(1)?.to_owned();
    let mut headers = Vec::new();
    for line in lines {
        let line = line.ok()?;
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    Some(Request { path, headers })
}

fn write_answer(mut stream: &TcpStream, request: &Request, answer: Answer) -> std::io::Result<()> {
    let head = |status: &str, lines: &str| {
        format!("HTTP/1.1 {status}\r\nETag: \"v1\"\r\nConnection: close\r\n{lines}\r\n")
    };
    let length = |len: usize| format!("Content-Length: {len}\r\n");
    match answer {
        Answer::File(file) => match request.range_start().filter(|start| *start < file.len()) {
            Some(start) => {
                let range = format!(
                    "Content-Range: bytes {start}-{}/{}\r\n{}",
                    file.len() - 1,
                    file.len(),
                    length(file.len() - start)
                );
                stream.write_all(head("206 Partial Content", &range).as_bytes())?;
                stream.write_all(&file[start..])?;
            }
            None => {
                stream.write_all(head("200 OK", &length(file.len())).as_bytes())?;
                stream.write_all(&file)?;
            }
        },
        Answer::WholeFile(file) => {
            stream.write_all(head("200 OK", &length(file.len())).as_bytes())?;
            stream.write_all(&file)?;
        }
        Answer::CutAfter(file, bytes) => {
            stream.write_all(head("200 OK", &length(file.len())).as_bytes())?;
            stream.write_all(&file[..bytes])?;
        }
        Answer::StallAfter(file, bytes) => {
            stream.write_all(head("200 OK", &length(file.len())).as_bytes())?;
            stream.write_all(&file[..bytes])?;
            thread::sleep(Duration::from_secs(30));
        }
        Answer::WithoutLength(file) => {
            stream.write_all(head("200 OK", "").as_bytes())?;
            stream.write_all(&file)?;
        }
        Answer::LyingLength(file, len) => {
            stream.write_all(head("200 OK", &length(len)).as_bytes())?;
            stream.write_all(&file)?;
        }
        Answer::Slowly(file, piece, pause) => {
            let start = request.range_start().unwrap_or(0);
            let range = format!(
                "Content-Range: bytes {start}-{}/{}\r\n",
                file.len() - 1,
                file.len()
            );
            let status = if start > 0 {
                "206 Partial Content"
            } else {
                "200 OK"
            };
            let lines = length(file.len() - start) + if start > 0 { &range } else { "" };
            stream.write_all(head(status, &lines).as_bytes())?;
            for piece in file[start..].chunks(piece) {
                stream.write_all(piece)?;
                thread::sleep(pause);
            }
        }
        Answer::Status(status, line) => {
            let lines = format!("{}{line}", length(0));
            stream.write_all(head(&format!("{status} As Told"), &lines).as_bytes())?;
        }
        Answer::Redirect(to) => {
            let lines = format!("{}Location: {to}\r\n", length(0));
            stream.write_all(head("302 Found", &lines).as_bytes())?;
        }
        Answer::OtherPart(file, start) => {
            let range = format!(
                "Content-Range: bytes {start}-{}/{}\r\n{}",
                file.len() - 1,
                file.len(),
                length(file.len() - start)
            );
            stream.write_all(head("206 Partial Content", &range).as_bytes())?;
            stream.write_all(&file[start..])?;
        }
    }
    stream.flush()?;
    stream.shutdown(Shutdown::Write)
}
