//! An API that is compatible with OpenAI's.

use speakr_openai::{ApiKey, OpenAiClient, OpenAiConfig};
use speakr_service::config::{Config, Kind, Setting};

use crate::Failure;

const OPENAI_BASE_URL: Setting = Setting::new(
    "OPENAI_BASE_URL",
    Kind::Url,
    "Where the API begins that is compatible with OpenAI's, where one is asked.",
)
.default("https://api.openai.com/v1");
const OPENAI_API_KEY: Setting = Setting::new(
    "OPENAI_API_KEY",
    Kind::Text,
    "The key for that API; a server of one's own may want none.",
)
.secret();

/// The settings of the API.
pub const SETTINGS: &[Setting] = &[OPENAI_BASE_URL, OPENAI_API_KEY];

/// A client of the API. Its key is asked for with each request.
///
/// # Errors
/// What is wrong with the settings.
pub fn client(config: &Config) -> Result<OpenAiClient, Failure> {
    let key = config
        .secret(&OPENAI_API_KEY)
        .map(|secret| ApiKey::new(secret.reader()));
    OpenAiClient::new(OpenAiConfig::new(config.url(&OPENAI_BASE_URL)?, key)).map_err(Failure::part)
}
