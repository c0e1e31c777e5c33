//! What the decoder is told before it listens: words and names to expect.

use whisper_rs::WhisperContext;

use crate::engine::EngineError;

/// A prompt as far as the model takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CappedPrompt {
    /// Tokens that the model will see: the last ones.
    pub kept_tokens: usize,
    /// Tokens at the beginning that it won't see.
    pub dropped_tokens: usize,
}

/// Most tokens that a prompt may have: half the text window, less the mark that opens it
/// (whisper.cpp's `max_prompt_ctx − 1`).
pub(crate) fn limit(context: &WhisperContext) -> usize {
    (usize::try_from(context.n_text_ctx()).unwrap_or(0) / 2).saturating_sub(1)
}

/// The tokens of `text`.
pub(crate) fn tokenize(context: &WhisperContext, text: &str) -> Result<Vec<i32>, EngineError> {
    // The engine takes C strings. No token is shorter than a byte, so that this many always fit;
    // whisper-rs must never be asked for fewer than there are.
    let text = text.replace('\0', " ");
    context
        .tokenize(&text, text.len() + 1)
        .map_err(EngineError::Prompt)
}

/// The tokens to put before a piece: the last of `prompt`, as many as the model takes.
pub(crate) fn tokens(
    context: &WhisperContext,
    prompt: Option<&str>,
) -> Result<Vec<i32>, EngineError> {
    let Some(text) = prompt else {
        return Ok(Vec::new());
    };
    let mut tokens = tokenize(context, text.trim())?;
    let drop = tokens.len().saturating_sub(limit(context));
    tokens.drain(..drop);
    Ok(tokens)
}
