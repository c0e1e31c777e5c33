//! The platform, where one is set up.

use speakr_core::ports::index::Filter;

use super::Check;
use crate::{compose::App, platform};

const BUS: &str = "see NATS_URL and its credentials: `speakr config show` tells where they come from; \
                   --local does without the platform";
const API: &str =
    "see SPEAKR_API_URL and its token: `speakr config show` tells where they come from";

/// Whether bus and query API let this program in.
pub(super) async fn platform(app: &App) -> Vec<Check> {
    let Some(config) = platform::bus_config(&app.settings) else {
        return Vec::new();
    };
    let mut checks = vec![match platform::connect(&config).await {
        Ok(_) => Check::ok("bus", format!("connected to {}", config.servers_shown())),
        Err(failure) => Check::of_failure("bus", &failure, BUS),
    }];
    checks.push(match platform::api(&app.settings, &app.trace) {
        Err(failure) => Check::of_failure("query API", &failure, API),
        Ok(None) => Check::warning(
            "query API",
            "none is set: recordings go to the platform and can't be listed or found from here",
            "set SPEAKR_API_URL and SPEAKR_API_TOKEN",
        ),
        Ok(Some(api)) => match api.list(&Filter::default(), 1).await {
            Ok(_) => Check::ok("query API", format!("{} lets us in", api.server())),
            Err(error) => Check::of_failure("query API", &error.into(), API),
        },
    });
    checks
}
