//! The page of the sources: how they are, what needs a person, what is in quarantine.

use super::parked::Said;
use super::{grouped, moment};
use askama::Template;
use verdict_domain::time::Timestamp;
use verdict_store::alerts::Alert;
use verdict_store::quarantine::Listed;

/// How a source is.
#[derive(Debug, Clone)]
pub struct SourceHealth {
    /// Its name.
    pub name: String,
    /// Its platform.
    pub platform: String,
    /// How much its deliveries prove.
    pub strength: String,
    /// When it delivered last.
    pub last_delivery_at: Option<Timestamp>,
    /// What is the matter with it, in words.
    pub troubles: Vec<String>,
}

#[derive(Template)]
#[template(path = "sources.html")]
struct Page<'a> {
    alerts: &'a [Alert],
    sources: &'a [SourceHealth],
    quarantined: &'a [Listed],
    said: Option<&'a Said>,
}

/// The sources, the alerts that are not over, and what is in quarantine.
pub fn sources(
    alerts: &[Alert],
    sources: &[SourceHealth],
    quarantined: &[Listed],
    said: Option<&Said>,
) -> Result<String, askama::Error> {
    Page { alerts, sources, quarantined, said }.render()
}
