//! The services by name.

/// One of the three services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Makes text of sound.
    Transcriber,
    /// Makes text findable.
    Embedder,
    /// Answers over HTTP.
    QuerySvc,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Transcriber, Self::Embedder, Self::QuerySvc];

    /// The name of its program.
    #[must_use]
    pub const fn program(self) -> &'static str {
        match self {
            Self::Transcriber => "speakr-transcriber",
            Self::Embedder => "speakr-embedder",
            Self::QuerySvc => "speakr-query-svc",
        }
    }

    /// Its name on the bus.
    pub(super) const fn user(self) -> &'static str {
        match self {
            Self::Transcriber => "transcriber",
            Self::Embedder => "embedder",
            Self::QuerySvc => "query_svc",
        }
    }
}
