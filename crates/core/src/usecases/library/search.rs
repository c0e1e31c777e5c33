//! Searching the library.

use std::collections::HashMap;

use super::{Library, LibraryError};
use crate::{
    ports::index::PassageHit,
    search::{self, SearchMode, SearchRequest, SearchResponse, SearchResult},
};

/// Fewest passages asked of the index, so that fusion has something to choose from.
const MIN_CANDIDATES: usize = 50;

/// Passages asked of the index per result wanted.
const CANDIDATES_PER_RESULT: usize = 5;

/// How much wider the next look is when too few recordings came of it.
const WIDENING: usize = 8;

impl Library {
    /// Searches.
    ///
    /// # Errors
    /// [`LibraryError::EmptyQuery`]; [`LibraryError::Embedding`] and [`LibraryError::OtherModel`]
    /// (not in keyword mode); [`LibraryError::Index`].
    pub async fn search(&self, request: &SearchRequest) -> Result<SearchResponse, LibraryError> {
        let query = request.query.trim();
        if query.is_empty() {
            return Err(LibraryError::EmptyQuery);
        }
        let vector = match request.mode {
            SearchMode::Keyword => None,
            SearchMode::Hybrid | SearchMode::Semantic => {
                self.embed_texts(&[query.to_owned()]).await?.pop()
            }
        };
        let mut candidates = (request.limit * CANDIDATES_PER_RESULT).max(MIN_CANDIDATES);
        let found = loop {
            let (keyword, semantic) = self
                .candidates(request, query, vector.as_deref(), candidates)
                .await?;
            if vector.is_some() && semantic.is_empty() {
                self.check_model().await?;
            }
            let more = keyword.len() >= candidates || semantic.len() >= candidates;
            let found = search::fuse(request.mode, keyword, semantic);
            // A few long recordings can take up all candidates: look further then.
            if found.len() >= request.limit || !more {
                break found;
            }
            candidates *= WIDENING;
        };
        self.answer(found, request.limit).await
    }

    /// Whether nothing is found by its meaning because another model than ours embedded all of it.
    async fn check_model(&self) -> Result<(), LibraryError> {
        let mine = self.embedder.model_id();
        let theirs = self.index.other_models(mine).await?;
        if theirs.is_empty() {
            return Ok(());
        }
        Err(LibraryError::OtherModel {
            mine: mine.to_owned(),
            theirs,
        })
    }

    async fn candidates(
        &self,
        request: &SearchRequest,
        query: &str,
        vector: Option<&[f32]>,
        limit: usize,
    ) -> Result<(Vec<PassageHit>, Vec<PassageHit>), LibraryError> {
        let filter = &request.filter;
        let with_model = vector.map(|v| (v, self.embedder.model_id()));
        let keyword = async {
            match request.mode {
                SearchMode::Semantic => Ok(Vec::new()),
                _ => {
                    self.index
                        .keyword_hits(query, with_model, filter, limit)
                        .await
                }
            }
        };
        let semantic = async {
            match with_model {
                None => Ok(Vec::new()),
                Some((vector, model)) => self.index.vector_hits(vector, model, filter, limit).await,
            }
        };
        Ok(futures::try_join!(keyword, semantic)?)
    }

    async fn answer(
        &self,
        mut found: Vec<search::RecordingHit>,
        limit: usize,
    ) -> Result<SearchResponse, LibraryError> {
        found.truncate(limit);
        let ids: Vec<_> = found.iter().map(|hit| hit.recording_id).collect();
        let mut entries: HashMap<_, _> = self
            .index
            .entries(&ids)
            .await?
            .into_iter()
            .map(|entry| (entry.recording.recording_id, entry))
            .collect();
        let results: Vec<_> = found
            .into_iter()
            // One that another process deleted meanwhile has no entry any more.
            .filter_map(|hit| entries.remove(&hit.recording_id).map(|entry| (hit, entry)))
            .map(|(hit, entry)| SearchResult {
                recording_id: hit.recording_id,
                similarity: hit.similarity,
                created_at: entry.recording.created_at,
                tags: entry.recording.tags,
                metadata: entry.recording.metadata,
                text: entry.text,
                passages: hit.passages,
            })
            .collect();
        Ok(SearchResponse {
            count: results.len(),
            results,
        })
    }
}
