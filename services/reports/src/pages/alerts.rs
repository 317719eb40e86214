//! The page of alerts: those that stand, then those that are over.

use super::paging::{Links, Turn};
use super::{encoded, moment};
use askama::Template;
use verdict_store::alerts::Alert;

#[derive(Template)]
#[template(path = "alerts.html")]
struct Page<'a> {
    alerts: &'a [Alert],
    turn: Links,
}

/// A page of the alerts, in the order given: those that are not over first.
pub fn alerts(alerts: &[Alert], turn: &Turn) -> Result<String, askama::Error> {
    Page { alerts, turn: turn.links("/alerts", &[]) }.render()
}

impl Page<'_> {
    /// How many of them are not over.
    fn standing(&self) -> usize {
        self.alerts.iter().filter(|alert| alert.cleared_at.is_none()).count()
    }
}

/// Where what an alert is about is shown. Those on figures say it themselves; of others their kind tells.
fn look(alert: &Alert) -> Option<String> {
    if let Some(link) = &alert.link {
        return Some(link.clone());
    }
    let subject = alert.subject.as_str();
    let link = match alert.kind.as_str() {
        // The customer, the beginning of the period, the bound and its share.
        "spend" => format!("/overview?customer={}", encoded(subject.rsplitn(4, ' ').nth(3)?)),
        "payment_failed" | "invoice_uncollectible" | "invoice_voided" => {
            format!("/invoices/{}", encoded(subject))
        }
        "payment_disputed" => "/invoices".into(),
        "stripe_customer_deleted" | "stripe_customer_unlinked" => {
            format!("/cases?customer={}", encoded(subject))
        }
        "provider_bill" => format!("/reports/provider-bill?provider={}", encoded(subject)),
        "reconcile" => "/v1/reconciliation".into(),
        "source_silent" | "source_failing" => "/sources".into(),
        _ => return None,
    };
    Some(link)
}

/// A kind as people say it.
fn kind(alert: &Alert) -> String {
    alert.kind.replace('_', " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use verdict_domain::time::Timestamp;

    #[test]
    fn what_an_alert_is_about_is_a_click_away() {
        let link = |kind: &str, subject: &str, link: Option<&str>| {
            look(&Alert {
                kind: kind.into(),
                subject: subject.into(),
                text: String::new(),
                link: link.map(Into::into),
                raised_at: Timestamp(0),
                cleared_at: None,
                number: 1,
            })
        };
        for (kind, subject, leads_to) in [
            ("spend", "acme & co 2026-10-01T00:00 budget 80", Some("/overview?customer=acme%20%26%20co")),
            ("spend", "nobody", None),
            ("payment_failed", "acme/2026-10", Some("/invoices/acme%2F2026-10")),
            ("provider_bill", "openai", Some("/reports/provider-bill?provider=openai")),
            ("source_silent", "support", Some("/sources")),
            ("reconcile", "facts_missing", Some("/v1/reconciliation")),
            ("of_tomorrow", "x", None),
        ] {
            assert_eq!(link(kind, subject, None).as_deref(), leads_to, "{kind}");
            assert_eq!(link(kind, subject, Some("/models?a=b")).as_deref(), Some("/models?a=b"), "{kind}");
        }
    }
}
