//! ffmpeg as a running child: samples from its standard output, complaints from its standard
//! error, and its end.

use std::{
    collections::VecDeque,
    io::{self, Read},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    thread,
    time::{Duration, Instant},
};

use tokio::sync::{mpsc, oneshot};

use crate::sandbox::{self, Bounds};

/// How much of the complaints is kept, at each end.
const COMPLAINT_BYTES: usize = 128 * 1024;

/// How long a child may go on after it closed its output.
const LINGER: Duration = Duration::from_secs(10);

/// How a child ended.
#[derive(Debug)]
pub(crate) struct Exit {
    pub(crate) status: ExitStatus,
    pub(crate) complaints: String,
}

/// A running ffmpeg that writes s16le samples to its standard output. Killed when dropped.
pub(crate) struct PcmProcess {
    samples: mpsc::Receiver<Vec<i16>>,
    exit: oneshot::Receiver<io::Result<Exit>>,
    handle: Handle,
}

/// Signals the child from anywhere, as long as it lives.
#[derive(Clone)]
pub(crate) struct Handle(Arc<Mutex<Child>>);

impl Handle {
    fn child(&self) -> std::sync::MutexGuard<'_, Child> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the child to end once it has handed over what it has.
    pub(crate) fn interrupt(&self) {
        let mut child = self.child();
        // A child that was waited for has no id any more: its number may be somebody else's.
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        #[cfg(unix)]
        {
            use rustix::process::{Pid, Signal, kill_process};
            if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
                // It can only fail when the child has just ended, which is what is wanted.
                let _ = kill_process(pid, Signal::INT);
            }
        }
        #[cfg(not(unix))]
        {
            use std::io::Write as _;
            // ffmpeg's own key for "stop".
            if let Some(mut stdin) = child.stdin.take() {
                let _ = stdin.write_all(b"q\n");
            }
        }
    }

    /// Ends the child at once.
    pub(crate) fn kill(&self) {
        let mut child = self.child();
        if matches!(child.try_wait(), Ok(None)) {
            // It can only fail when the child has just ended, which is what is wanted.
            let _ = child.kill();
        }
    }

    /// Waits for the end without keeping the child locked, and kills it after [`LINGER`].
    fn wait(&self) -> io::Result<ExitStatus> {
        let begun = Instant::now();
        let mut pause = Duration::from_millis(1);
        loop {
            if let Some(status) = self.child().try_wait()? {
                return Ok(status);
            }
            if begun.elapsed() > LINGER {
                self.kill();
            }
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }
}

impl PcmProcess {
    /// Starts `command`. At most `capacity` chunks wait to be taken; then the child has to wait.
    /// `input` becomes its standard input.
    pub(crate) fn spawn(
        command: Command,
        bounds: Bounds,
        capacity: usize,
        input: Input,
    ) -> io::Result<Self> {
        let (mut child, feed) = start(command, bounds, input)?;
        let stdout = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let stderr = child.stderr.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let handle = Handle(Arc::new(Mutex::new(child)));
        if let Some((mut reader, mut stdin)) = feed {
            // Ends with the reader, or when the child no longer listens. Nobody waits for it: a
            // read of standard input can't be called off.
            thread::Builder::new()
                .name("sound-feed".into())
                .spawn(move || {
                    if let Err(error) = io::copy(&mut reader, &mut stdin) {
                        tracing::debug!(%error, "the decoder stopped reading its input");
                    }
                })?;
        }
        let complaints = thread::Builder::new()
            .name("ffmpeg-complaints".into())
            .spawn(move || read_ends(stderr))?;
        let (sender, samples) = mpsc::channel(capacity);
        let (exit_sender, exit) = oneshot::channel();
        let child_handle = handle.clone();
        // A thread of its own: a busy runtime must not keep the pipe from being emptied.
        thread::Builder::new()
            .name("ffmpeg-samples".into())
            .spawn(move || {
                let read = read_samples(stdout, &sender);
                if read.is_err() || sender.is_closed() {
                    child_handle.kill();
                }
                let status = child_handle.wait();
                let complaints = complaints.join().unwrap_or_default();
                let exit = read.and(status).map(|status| Exit { status, complaints });
                // Nobody may be waiting for it any more.
                let _ = exit_sender.send(exit);
            })?;
        Ok(Self {
            samples,
            exit,
            handle,
        })
    }

    /// The next samples; `None` at the end. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Option<Vec<i16>> {
        self.samples.recv().await
    }

    /// How the child ended, once `next` gave `None`. Cancel-safe; gives an error the second time.
    pub(crate) async fn exit(&mut self) -> io::Result<Exit> {
        match (&mut self.exit).await {
            Ok(exit) => exit,
            Err(_) => Err(io::Error::other("the reading thread ended early")),
        }
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for PcmProcess {
    fn drop(&mut self) {
        self.handle.kill();
    }
}

/// What a child said until its end.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) exit: Exit,
    pub(crate) text: String,
}

/// Runs `command` to its end and keeps what it says; killed when the future is dropped or after
/// `deadline`.
pub(crate) async fn run(
    command: Command,
    bounds: Bounds,
    deadline: Duration,
) -> io::Result<Output> {
    struct KillOnDrop(Handle);
    impl Drop for KillOnDrop {
        fn drop(&mut self) {
            self.0.kill();
        }
    }

    let (mut child, _) = start(command, bounds, Input::Nothing)?;
    let stdout = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let stderr = child.stderr.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let guard = KillOnDrop(Handle(Arc::new(Mutex::new(child))));
    let handle = guard.0.clone();
    let read = tokio::task::spawn_blocking(move || {
        let complaints = thread::Builder::new()
            .name("ffmpeg-complaints".into())
            .spawn(move || read_ends(stderr))?;
        let text = read_ends(stdout);
        let status = handle.wait()?;
        let complaints = complaints.join().unwrap_or_default();
        Ok(Output {
            exit: Exit { status, complaints },
            text,
        })
    });
    match tokio::time::timeout(deadline, read).await {
        Ok(output) => output.map_err(io::Error::other)?,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// What a child reads on its standard input.
pub(crate) enum Input {
    /// Nothing.
    Nothing,
    /// What this process was given.
    #[cfg_attr(not(unix), allow(dead_code))]
    Inherited,
    /// What this gives.
    Reader(Box<dyn Read + Send>),
    /// ffmpeg's keys (where signals can't be used).
    #[cfg_attr(unix, allow(dead_code))]
    Keys,
}

type Feed = (Box<dyn Read + Send>, std::process::ChildStdin);

fn start(mut command: Command, bounds: Bounds, input: Input) -> io::Result<(Child, Option<Feed>)> {
    sandbox::confine(&mut command, bounds);
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .stdin(match input {
            Input::Nothing => Stdio::null(),
            Input::Inherited => Stdio::inherit(),
            Input::Reader(_) | Input::Keys => Stdio::piped(),
        });
    tracing::debug!(?command, "starting ffmpeg");
    let mut child = spawn_in_lasting_thread(command)?;
    let feed = match input {
        Input::Reader(reader) => child.stdin.take().map(|stdin| (reader, stdin)),
        Input::Nothing | Input::Inherited | Input::Keys => None,
    };
    Ok((child, feed))
}

/// Spawns from a thread that lives as long as the process. The kernel's parent-death signal
/// (`prctl(2)`) is tied to the thread that made the child, and a runtime's threads come and go.
fn spawn_in_lasting_thread(command: Command) -> io::Result<Child> {
    type Job = (Command, std::sync::mpsc::SyncSender<io::Result<Child>>);
    static SPAWNER: OnceLock<Option<std::sync::mpsc::Sender<Job>>> = OnceLock::new();

    let spawner = SPAWNER.get_or_init(|| {
        let (sender, jobs) = std::sync::mpsc::channel::<Job>();
        let serve = move || {
            for (mut command, reply) in jobs {
                // Whoever asked may be gone; the child is then dropped with its pipes and ends.
                let _ = reply.send(command.spawn());
            }
        };
        thread::Builder::new()
            .name("ffmpeg-spawner".into())
            .spawn(serve)
            .ok()
            .map(|_| sender)
    });
    let gone = || io::Error::other("the thread that starts ffmpeg is gone");
    let (reply, child) = std::sync::mpsc::sync_channel(1);
    spawner
        .as_ref()
        .ok_or_else(gone)?
        .send((command, reply))
        .map_err(|_| gone())?;
    child.recv().map_err(|_| gone())?
}

/// Reads s16le until the end, or until nobody listens.
fn read_samples(mut stdout: impl Read, sender: &mpsc::Sender<Vec<i16>>) -> io::Result<()> {
    let mut bytes = vec![0_u8; 64 * 1024];
    // Bytes at the front that belong to an unfinished sample.
    let mut held = 0;
    loop {
        let read = match stdout.read(bytes.get_mut(held..).unwrap_or_default()) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let (pairs, rest) = bytes
            .get(..held + read)
            .unwrap_or_default()
            .as_chunks::<2>();
        let samples: Vec<i16> = pairs.iter().map(|&pair| i16::from_le_bytes(pair)).collect();
        let rest = rest.first().copied();
        held = 0;
        if let (Some(byte), Some(front)) = (rest, bytes.first_mut()) {
            *front = byte;
            held = 1;
        }
        if !samples.is_empty() && sender.blocking_send(samples).is_err() {
            return Ok(());
        }
    }
}

/// Reads to the end, keeping the first and the last [`COMPLAINT_BYTES`].
fn read_ends(mut stream: impl Read) -> String {
    let mut head = Vec::new();
    let mut tail = VecDeque::new();
    let mut bytes = [0_u8; 4096];
    loop {
        let read = match stream.read(&mut bytes) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        for &byte in bytes.iter().take(read) {
            if head.len() < COMPLAINT_BYTES {
                head.push(byte);
                continue;
            }
            if tail.len() == COMPLAINT_BYTES {
                tail.pop_front();
            }
            tail.push_back(byte);
        }
    }
    head.extend(tail);
    String::from_utf8_lossy(&head).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_split_across_reads_are_put_together() {
        struct OneByte(Vec<u8>);
        impl Read for OneByte {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                let Some(byte) = self.0.pop() else {
                    return Ok(0);
                };
                into[0] = byte;
                Ok(1)
            }
        }
        let mut bytes: Vec<u8> = [1_i16, -2, 300, i16::MIN]
            .iter()
            .flat_map(|s| s.to_le_bytes())
            .collect();
        bytes.push(7); // half a sample at the very end
        bytes.reverse();
        let (sender, mut receiver) = mpsc::channel(16);
        read_samples(OneByte(bytes), &sender).unwrap();
        drop(sender);
        let mut got = Vec::new();
        while let Some(chunk) = receiver.blocking_recv() {
            got.extend(chunk);
        }
        assert_eq!(got, [1, -2, 300, i16::MIN]);
    }

    #[test]
    fn endless_complaints_keep_their_beginning_and_end() {
        let text = format!("first{}last", "x".repeat(10 * COMPLAINT_BYTES));
        let kept = read_ends(text.as_bytes());
        assert_eq!(kept.len(), 2 * COMPLAINT_BYTES);
        assert!(kept.starts_with("first") && kept.ends_with("last"));
    }
}
