//! Takes connections and answers on them.

use std::{net::SocketAddr, time::Duration};

use axum::{Router, extract::ConnectInfo, http::Request};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tower_service::Service;

use crate::{api::Api, linger::Rest};

/// How long a client may take to say what it wants: who opens connections and says nothing would
/// keep them from others.
const FIRST_HEAD_WITHIN: Duration = Duration::from_secs(15);

/// How long a client that has asked may be silent. Longer than the minute for which load balancers
/// keep connections that are idle, so that theirs is never closed as they use it.
const NEXT_HEAD_WITHIN: Duration = Duration::from_secs(75);

/// Pause after the system had no connection to give, or no room for one.
const PAUSE: Duration = Duration::from_millis(500);

/// Serves `api` on `listener` until `stop`; what is under way is finished then.
///
/// # Errors
/// What the system says, when it can't go on.
pub async fn serve(
    api: &Api,
    listener: TcpListener,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let router = api.router();
    let open = GracefulShutdown::new();
    loop {
        let (stream, peer) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection can't be taken");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            },
        };
        answer(stream, peer, router.clone(), &open);
    }
    drop(listener);
    open.shutdown().await;
    Ok(())
}

/// Answers what `peer` asks on `stream`, in a task of its own that `open` knows of.
fn answer(stream: TcpStream, peer: SocketAddr, router: Router, open: &GracefulShutdown) {
    // Answers are whole when they are written.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "answers may wait for each other");
    }
    let asked = CancellationToken::new();
    let has_asked = asked.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        has_asked.cancel();
        let (head, body) = request.into_parts();
        let (rest, body) = Rest::of(&head.headers, body);
        let mut request = Request::from_parts(head, body);
        request.extensions_mut().insert(ConnectInfo(peer));
        let answer = router.clone().call(request);
        async move {
            let answer = answer.await;
            rest.drain();
            answer
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(NEXT_HEAD_WITHIN)
        .serve_connection(TokioIo::new(stream), service);
    let connection = open.watch(connection);
    let nobody_asks = async move {
        let first = tokio::time::timeout(FIRST_HEAD_WITHIN, asked.cancelled()).await;
        if first.is_ok() {
            std::future::pending::<()>().await;
        }
    };
    tokio::spawn(async move {
        tokio::select! {
            ended = connection => if let Err(error) = ended {
                tracing::debug!(%error, "a connection broke off");
            },
            () = nobody_asks => tracing::debug!("a connection on which nobody asked is closed"),
        }
    });
}
