//! A stretch of network between a client and a server, which can be slow, still or torn.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

/// How soon a change is noticed.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Most bytes that are carried at once.
const PIECE: usize = 64 * 1024;

/// Carries bytes to a port of the loopback device and back. It ends with this.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    delay_ms: AtomicU64,
    still: AtomicBool,
    closed: AtomicBool,
    ended: AtomicBool,
    /// Connections of an earlier age are torn.
    age: AtomicU64,
    carried: AtomicU64,
}

impl Proxy {
    /// A way to `target`.
    ///
    /// # Errors
    /// Whatever the system says when there is no port.
    pub fn to(target: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        thread::spawn(move || accept(&listener, target, &shared));
        Ok(Self { port, state })
    }

    /// Where clients connect.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Each piece takes so long from now on, each way.
    pub fn slow_down(&self, delay: Duration) {
        let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self.state.delay_ms.store(delay_ms, Ordering::Relaxed);
    }

    /// Nothing gets through, and nobody is told: as when a cable is pulled.
    pub fn hold(&self) {
        self.state.still.store(true, Ordering::Relaxed);
    }

    /// What was held goes on.
    pub fn go_on(&self) {
        self.state.still.store(false, Ordering::Relaxed);
    }

    /// Tears all connections, as a firewall does that forgot them: both ends see a reset.
    pub fn tear(&self) {
        self.state.age.fetch_add(1, Ordering::Relaxed);
    }

    /// Tears all connections and every new one at once.
    pub fn close(&self) {
        self.state.closed.store(true, Ordering::Relaxed);
        self.tear();
    }

    /// New connections live again.
    pub fn open(&self) {
        self.state.closed.store(false, Ordering::Relaxed);
    }

    /// How many bytes came through, both ways.
    #[must_use]
    pub fn carried_bytes(&self) -> u64 {
        self.state.carried.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::Relaxed);
        self.tear();
    }
}

fn accept(listener: &TcpListener, target: u16, state: &Arc<State>) {
    while !state.ended.load(Ordering::Relaxed) {
        match listener.accept() {
            Ok((client, _)) => {
                let state = Arc::clone(state);
                thread::spawn(move || connect(client, target, &state));
            }
            // Nobody comes just now, or who came has gone.
            Err(_) => thread::sleep(LOOK_EVERY),
        }
    }
}

/// Carries one connection. A server that isn't there is a torn connection for the client.
fn connect(client: TcpStream, target: u16, state: &Arc<State>) {
    let age = state.age.load(Ordering::Relaxed);
    let server = (!state.closed.load(Ordering::Relaxed))
        .then(|| TcpStream::connect((Ipv4Addr::LOCALHOST, target)));
    let Some(Ok(server)) = server else {
        tear(&client);
        return;
    };
    let (Ok(from_client), Ok(from_server)) = (client.try_clone(), server.try_clone()) else {
        return;
    };
    let up = Arc::clone(state);
    let upwards = thread::spawn(move || carry(from_client, server, &up, age));
    carry(from_server, client, state, age);
    // It ends with the connection; how, tells nothing.
    let _ = upwards.join();
}

/// Carries bytes one way until the connection ends or is torn.
fn carry(mut from: TcpStream, mut to: TcpStream, state: &State, age: u64) {
    let set_up = from
        .set_nonblocking(false)
        .and_then(|()| from.set_read_timeout(Some(LOOK_EVERY)))
        .and_then(|()| to.set_nodelay(true));
    if set_up.is_err() {
        return;
    }
    let mut piece = vec![0; PIECE];
    let is_torn = || state.age.load(Ordering::Relaxed) != age;
    loop {
        if is_torn() {
            tear(&from);
            tear(&to);
            return;
        }
        let read = match from.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => read,
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
            Err(_) => break,
        };
        thread::sleep(Duration::from_millis(
            state.delay_ms.load(Ordering::Relaxed),
        ));
        while state.still.load(Ordering::Relaxed) && !is_torn() {
            thread::sleep(LOOK_EVERY);
        }
        if is_torn() {
            continue;
        }
        if piece
            .get(..read)
            .is_none_or(|read| to.write_all(read).is_err())
        {
            break;
        }
        state.carried.fetch_add(read as u64, Ordering::Relaxed);
    }
    let _ = to.shutdown(Shutdown::Write);
}

/// Has the connection end with a reset when it is closed.
fn tear(stream: &TcpStream) {
    #[cfg(unix)]
    let _ = rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO));
    #[cfg(not(unix))]
    let _ = stream.shutdown(Shutdown::Both);
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// A server that gives back what it gets.
    fn echo() -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                thread::spawn(move || io::copy(&mut stream.try_clone().unwrap(), &mut stream));
            }
        });
        port
    }

    fn through(stream: &mut TcpStream) -> io::Result<Duration> {
        let began = Instant::now();
        stream.write_all(b"ping")?;
        let mut answer = [0; 4];
        stream.read_exact(&mut answer)?;
        assert_eq!(&answer, b"ping");
        Ok(began.elapsed())
    }

    #[test]
    fn what_is_sent_comes_through_slowly_not_at_all_and_again() {
        let proxy = Proxy::to(echo()).unwrap();
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).unwrap();
        through(&mut stream).unwrap();
        // They are counted after they have gone on.
        let until = Instant::now() + Duration::from_secs(5);
        while proxy.carried_bytes() < 8 && Instant::now() < until {
            thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(proxy.carried_bytes(), 8);
        proxy.slow_down(Duration::from_millis(100));
        assert!(through(&mut stream).unwrap() >= Duration::from_millis(200));
        proxy.slow_down(Duration::ZERO);
        proxy.hold();
        stream
            .set_read_timeout(Some(Duration::from_millis(300)))
            .unwrap();
        assert!(through(&mut stream).is_err());
        proxy.go_on();
        stream.set_read_timeout(None).unwrap();
        let mut late = [0; 4];
        stream.read_exact(&mut late).unwrap();
        assert_eq!(&late, b"ping");
    }

    #[test]
    fn a_torn_connection_is_reset_and_a_new_one_works_once_the_way_is_open() {
        let proxy = Proxy::to(echo()).unwrap();
        let connect = || TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).unwrap();
        let mut stream = connect();
        through(&mut stream).unwrap();
        proxy.close();
        let error = stream.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert!(through(&mut connect()).is_err());
        proxy.open();
        through(&mut connect()).unwrap();
    }
}
