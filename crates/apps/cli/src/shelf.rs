//! Where the recordings are that a command looks at: in the library of this machine, or on the
//! platform.

use speakr_api::{ApiClient, ApiError};
use speakr_core::{
    RecordingId, RecordingState, Tags, Transcript,
    ports::index::Filter,
    search::{ListedRecording, SearchMode, SearchRequest, SearchResponse},
    usecases::library::{self, Library, Progress, Removed},
};
use speakr_local::{Home, RecordingLock, TranscriptionLock};

use crate::{
    compose::App,
    failure::{ExitCode, Failure},
    output::Output,
    platform,
};

/// Where the recordings are.
pub(crate) enum Shelf<'a> {
    /// On this machine.
    Here(&'a Library),
    /// On the platform.
    There(ApiClient),
}

/// What is done to a recording that has no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Somebody speaks.
    Recording,
    /// Its text is made.
    Transcribing,
}

impl App {
    /// The recordings: the platform's where one is set up, else those of this machine.
    pub(crate) async fn shelf(&self) -> Result<Shelf<'_>, Failure> {
        if !self.has_platform() {
            return Ok(Shelf::Here(self.library().await?));
        }
        platform::api(&self.settings, &self.trace)?
            .map(Shelf::There)
            .ok_or_else(|| {
                Failure::new(
                    ExitCode::Usage,
                    "the platform has the recordings, and where its query API is isn't set",
                )
                .hint(
                    "set SPEAKR_API_URL and SPEAKR_API_TOKEN; `--local` looks at the recordings of \
                 this machine",
                )
            })
    }
}

impl Shelf<'_> {
    /// Says so where fewer recordings can be had than the `wanted`: a platform gives no more at once.
    pub(crate) fn warn_of_most(&self, output: Output, wanted: usize, most: usize) {
        if matches!(self, Self::There(_)) && wanted > most {
            output.warn(&format!(
                "the platform gives {most} at once and no more; --since and --until ask for others"
            ));
        }
    }

    /// The one recording whose id begins with `prefix`.
    pub(crate) async fn resolve(&self, prefix: &str) -> Result<RecordingId, Failure> {
        match self {
            Self::Here(library) => Ok(library.resolve(prefix).await?),
            Self::There(api) => {
                let found = api.with_prefix(prefix).await?;
                let ids = found
                    .into_iter()
                    .map(|listed| listed.recording_id)
                    .collect();
                Ok(library::one_of(prefix, ids)?)
            }
        }
    }

    /// Searches; tells how far it is with texts that have to be read for their meaning first.
    pub(crate) async fn search(
        &self,
        request: &SearchRequest,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<SearchResponse, Failure> {
        match self {
            Self::Here(library) => {
                if request.mode != SearchMode::Keyword {
                    // What a crash left without vectors is found from now on, and what another
                    // model read.
                    library.embed_pending(usize::MAX, progress).await?;
                }
                Ok(library.search(request).await?)
            }
            Self::There(api) => Ok(api.search(request).await?),
        }
    }

    /// Recordings that pass `filter`, newest first, at most `limit`.
    pub(crate) async fn list(
        &self,
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<ListedRecording>, Failure> {
        match self {
            Self::Here(library) => {
                let entries = library.list(filter, limit).await?;
                Ok(entries.into_iter().map(Into::into).collect())
            }
            Self::There(api) => Ok(api.list(filter, limit).await?),
        }
    }

    /// What is done to `recording` just now, as far as it has no text; nothing where nobody is at it. A
    /// platform is at all that it has: what its replicas leave, others go on with.
    pub(crate) fn work_on(
        &self,
        home: &Home,
        recording: &ListedRecording,
    ) -> Result<Option<Work>, Failure> {
        let id = recording.recording_id;
        match (self, recording.state) {
            (_, RecordingState::Transcribed | RecordingState::Failed) => Ok(None),
            (Self::There(_), RecordingState::Capturing) => Ok(Some(Work::Recording)),
            (Self::There(_), RecordingState::Captured) => Ok(Some(Work::Transcribing)),
            (Self::Here(_), _) if RecordingLock::is_recording(home, id)? => {
                Ok(Some(Work::Recording))
            }
            (Self::Here(_), _) => {
                Ok(TranscriptionLock::is_held(home, id)?.then_some(Work::Transcribing))
            }
        }
    }

    /// The text of one recording; nothing where it isn't made yet.
    pub(crate) async fn transcript(&self, id: RecordingId) -> Result<Option<Transcript>, Failure> {
        match self {
            Self::Here(library) => Ok(library.show(id).await?.transcript),
            Self::There(api) => match api.transcript(id).await {
                Ok(transcript) => Ok(Some(transcript)),
                Err(ApiError::NotReady { .. }) => Ok(None),
                Err(error) => Err(error.into()),
            },
        }
    }

    /// Adds and removes tags; gives those that it has then.
    pub(crate) async fn tag(
        &self,
        id: RecordingId,
        add: &Tags,
        remove: &Tags,
    ) -> Result<Tags, Failure> {
        match self {
            Self::Here(library) => Ok(library.tag(id, add, remove).await?.tags),
            Self::There(api) => Ok(api.tag(id, add, remove).await?),
        }
    }

    /// Deletes for good. A platform doesn't tell how much that was.
    pub(crate) async fn delete(&self, id: RecordingId) -> Result<Option<Removed>, Failure> {
        match self {
            Self::Here(library) => Ok(Some(library.delete(id).await?)),
            Self::There(api) => {
                api.delete(id).await?;
                Ok(None)
            }
        }
    }
}
