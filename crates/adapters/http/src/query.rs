//! `POST /api/v1/query`.

use axum::{Json, extract::State};
use speakr_core::{
    ports::index::Filter,
    search::{SearchMode, SearchRequest},
};

use crate::{
    api::Api,
    problem::Problem,
    request::{JsonBody, limit, tags},
    wire::{Mode, QueryRequest, QueryResponse},
};

/// Longest query, in characters.
const MAX_QUERY_CHARS: usize = 10_000;

/// Most results.
const MAX_RESULTS: usize = 100;

/// Finds recordings.
pub(crate) async fn query(
    State(api): State<Api>,
    JsonBody(asked): JsonBody<QueryRequest>,
) -> Result<Json<QueryResponse>, Problem> {
    let request = wanted(asked)?;
    Ok(Json(api.library().search(&request).await?.into()))
}

/// The search that is asked for, if it is one.
pub(crate) fn wanted(asked: QueryRequest) -> Result<SearchRequest, Problem> {
    if asked.query_text.chars().count() > MAX_QUERY_CHARS {
        return Err(Problem::malformed(format!(
            "query_text has at most {MAX_QUERY_CHARS} characters"
        )));
    }
    if asked.query_text.contains('\0') {
        return Err(Problem::malformed("query_text holds a null character"));
    }
    Ok(SearchRequest {
        query: asked.query_text,
        filter: Filter {
            tags: tags(&asked.filter_tags)?,
            since: asked.since,
            until: asked.until,
            states: Vec::new(),
        },
        mode: match asked.mode {
            Mode::Hybrid => SearchMode::Hybrid,
            Mode::Semantic => SearchMode::Semantic,
            Mode::Keyword => SearchMode::Keyword,
        },
        limit: limit(asked.limit, 10, MAX_RESULTS)?,
    })
}
