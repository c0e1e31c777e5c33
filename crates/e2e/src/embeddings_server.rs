//! A provider of embeddings on this machine, whose moods a test chooses: vectors of a text's words, as
//! the API gives them.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json};

/// The model that it has.
pub const MODEL: &str = "words-1";

/// Length of its vectors.
const DIMENSIONS: usize = 64;

/// What it does with a request.
#[derive(Debug, Clone, Default)]
struct Mood {
    /// Answers so whatever is asked.
    away: Option<u16>,
    /// Answers so where a text holds the word.
    refuses: Option<(String, u16)>,
    asked: usize,
}

/// The provider. It serves until its process ends.
pub struct EmbeddingsServer {
    address: SocketAddr,
    mood: Arc<Mutex<Mood>>,
}

impl EmbeddingsServer {
    /// Starts it on a free port.
    ///
    /// # Panics
    /// When it can't be started.
    #[must_use]
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        listener.set_nonblocking(true).expect("a listener");
        let address = listener.local_addr().expect("an address");
        let mood = Arc::<Mutex<Mood>>::default();
        let router = Router::new()
            .route("/v1/embeddings", post(embed))
            .with_state(Arc::clone(&mood));
        // A runtime of its own: a test that waits for a service isn't to keep it from answering.
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                axum::serve(listener, router).await.expect("it serves");
            });
        });
        Self { address, mood }
    }

    /// What a service needs to use it, by the names of its settings.
    #[must_use]
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("SPEAKR_EMBEDDER", "openai".to_owned()),
            ("OPENAI_BASE_URL", format!("http://{}/v1", self.address)),
            ("OPENAI_EMBEDDING_MODEL", MODEL.to_owned()),
        ]
    }

    fn change(&self, change: impl FnOnce(&mut Mood)) {
        change(&mut self.mood.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Answers with `status` from now on, or serves again.
    pub fn be_away(&self, status: Option<u16>) {
        self.change(|mood| mood.away = status);
    }

    /// Answers with `status` to texts that hold `word` from now on.
    pub fn refuse(&self, word: &str, status: u16) {
        self.change(|mood| mood.refuses = Some((word.to_owned(), status)));
    }

    /// How often it was asked.
    #[must_use]
    pub fn asked(&self) -> usize {
        let mood = self.mood.lock().unwrap_or_else(PoisonError::into_inner);
        mood.asked
    }
}

async fn embed(State(mood): State<Arc<Mutex<Mood>>>, Json(request): Json<Value>) -> Response {
    let mood = {
        let mut mood = mood.lock().unwrap_or_else(PoisonError::into_inner);
        mood.asked += 1;
        mood.clone()
    };
    let texts: Vec<String> = request["input"]
        .as_array()
        .map(|texts| {
            texts
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect()
        })
        .unwrap_or_default();
    let refused = mood
        .refuses
        .filter(|(word, _)| texts.iter().any(|text| text.contains(word)))
        .map(|(_, status)| status);
    if let Some(status) = mood.away.or(refused) {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let error = json!({"error": {"message": "this can't be embedded"}});
        return (status, Json(error)).into_response();
    }
    let data: Vec<Value> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| json!({"index": index, "embedding": vector(text)}))
        .collect();
    Json(json!({"data": data})).into_response()
}

/// A bag of words: each adds to a place that its letters choose.
fn vector(text: &str) -> Vec<f32> {
    let mut vector = vec![0.001_f32; DIMENSIONS];
    for word in text.to_lowercase().split(|c: char| !c.is_alphanumeric()) {
        let place = word
            .bytes()
            .fold(7_usize, |h, b| h * 31 % 8_191 + usize::from(b));
        vector[place % DIMENSIONS] += 1.0;
    }
    vector
}
