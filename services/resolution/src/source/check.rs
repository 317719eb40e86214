//! Checks of definitions and sources: what cannot be run with, and what is probably a mistake.

use super::operand::{Document, Operand, Operands, Part};
use super::outgoing::{PLACES, fetch_templates, is_open, poll_templates};
use super::platform::{Platform, Rule, RuleOutcome, Rules, Via};
use super::scheme::{SchemeKind, is_header};
use super::template::Template;
use super::{Catalogue, Definitions, Method, Source, SourceConfig, Tolerance, is_plain_name};
use std::collections::BTreeSet;
use std::fmt;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Probably a mistake, or weaker than need be.
    Warning,
    /// Wrong.
    Error,
}

/// Something that a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where, such as `platforms.zendesk.rules[2].when[0]`.
    pub place: String,
    /// How bad it is.
    pub severity: Severity,
    /// What it is and what would be right.
    pub text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.text)
    }
}

/// Collects findings.
#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn error(&mut self, place: impl Into<String>, text: impl Into<String>) {
        self.0.push(Finding { place: place.into(), severity: Severity::Error, text: text.into() });
    }

    fn warn(&mut self, place: impl Into<String>, text: impl Into<String>) {
        self.0.push(Finding { place: place.into(), severity: Severity::Warning, text: text.into() });
    }
}

const BILLS_BY_TOKEN: &str =
    "bills by a shared token: whoever knows it can make bills; prefer what is signed or fetched";

const VIAS: [(Via, &str); 3] = [(Via::Webhook, ""), (Via::Fetch, "fetch."), (Via::Poll, "poll.")];

/// What definitions cannot be run with. `catalogue` has their schemes already.
pub(crate) fn faults(definitions: &Definitions, catalogue: &Catalogue) -> Vec<Finding> {
    let mut found = Findings::default();
    for (name, scheme) in &definitions.schemes {
        let place = format!("schemes.{name}");
        if !is_plain_name(name) {
            found.error(&place, "its name must be 1 to 64 lower-case letters, digits, `-` or `_`");
        }
        for (field, problem) in scheme.faults() {
            found.error(format!("{place}.{field}"), problem);
        }
    }
    for (name, platform) in &definitions.platforms {
        let place = format!("platforms.{name}");
        if !is_plain_name(name) {
            found.error(&place, "its name must be 1 to 64 lower-case letters, digits, `-` or `_`");
        }
        platform_faults(&place, platform, catalogue, &mut found);
    }
    found.0
}

fn platform_faults(place: &str, platform: &Platform, catalogue: &Catalogue, found: &mut Findings) {
    if let Some(scheme) = &platform.scheme
        && catalogue.scheme(scheme).is_none()
    {
        let known: Vec<&str> = catalogue.schemes().map(|(name, _)| name).collect();
        let known = known.join(", ");
        found.error(format!("{place}.scheme"), format!("`{scheme}` is not defined; there are {known}"));
    }
    if !(500..=599).contains(&platform.nack.status) {
        let text =
            "must be from 500 to 599: senders drop what is answered otherwise, or switch the source off";
        found.error(format!("{place}.nack.status"), text);
    }
    operands(platform, &mut |at, operand| {
        let of_event = |part: &Part| matches!(part, Part::In(Document::Event, _));
        if !at.starts_with("fetch.") && operand.parts().iter().any(of_event) {
            found.error(format!("{place}.{at}"), "event: is known only within [fetch]; take body:");
        }
    });
    for (via, prefix) in VIAS {
        let Some(set) = platform.rules_for(via) else { continue };
        for (nth, rule) in set.rules.iter().enumerate() {
            rule_faults(&format!("{place}.{prefix}rules[{nth}]"), rule, set, via, platform, found);
        }
    }
    if let Some(fetch) = &platform.fetch {
        let known = ["case_id", "customer", "delivery_id"];
        template_faults(&format!("{place}.fetch"), &fetch_templates(fetch), &known, found);
        address_faults(&format!("{place}.fetch.url"), &fetch.url, false, found);
        let request = (fetch.method, fetch.body.is_some(), fetch.per_minute, fetch.timeout.0);
        request_faults(&format!("{place}.fetch"), request, fetch.headers.keys(), found);
    }
    if let Some(poll) = &platform.poll {
        let known = ["since", "until", "since_rfc3339", "until_rfc3339", "cursor"];
        template_faults(&format!("{place}.poll"), &poll_templates(poll), &known, found);
        address_faults(&format!("{place}.poll.url"), &poll.url, false, found);
        if let Some(next) = &poll.next_url {
            address_faults(&format!("{place}.poll.next_url"), next, true, found);
        }
        let request = (poll.method, poll.body.is_some(), poll.per_minute, poll.timeout.0);
        request_faults(&format!("{place}.poll"), request, poll.headers.keys(), found);
        if poll.every.0 < 60_000_000 {
            found.error(format!("{place}.poll.every"), "must be at least 1m");
        }
    }
}

fn rule_faults(place: &str, rule: &Rule, set: Rules, via: Via, platform: &Platform, found: &mut Findings) {
    if rule.outcome == RuleOutcome::Fetch && (via == Via::Fetch || platform.fetch.is_none()) {
        let text = if via == Via::Fetch {
            "a fetch cannot ask for a fetch"
        } else {
            "there is no [fetch] to do it by"
        };
        found.error(format!("{place}.outcome"), text);
    }
    // What a fetch does not say is known from the event.
    if rule.outcome.kind().is_none() || via == Via::Fetch {
        return;
    }
    let reading = rule.reading(set.reading);
    let mut needed = vec![
        ("case_id", reading.case_id.is_some()),
        ("customer", reading.customer.is_some()),
        ("occurred_at", reading.occurred_at.is_some()),
    ];
    if rule.outcome == RuleOutcome::Rated {
        needed.push(("score", reading.score.is_some()));
    }
    if reading.value.is_some() || reading.value_currency.is_some() {
        needed.push(("value", reading.value.is_some()));
        needed.push(("value_currency", reading.value_currency.is_some()));
    }
    for (field, _) in needed.into_iter().filter(|(_, given)| !given) {
        found.error(place, format!("its outcome needs `{field}`: give it here or beside the rules"));
    }
}

fn template_faults(place: &str, templates: &[&Template], known: &[&str], found: &mut Findings) {
    for name in templates.iter().flat_map(|template| template.names()) {
        let setting = !name.contains(':') && !PLACES.contains(&name);
        let credential = name.strip_prefix("credential:").is_some_and(|name| !name.is_empty());
        if !setting && !credential && !known.contains(&name) {
            let known = known.join("}, {");
            let text = format!(
                "{{{name}}} is not known here; there are {{{known}}}, {{credential:NAME}} and the names of settings"
            );
            found.error(place, text);
        }
    }
}

fn address_faults(place: &str, url: &Template, cursor: bool, found: &mut Findings) {
    let begins = match url.first_name() {
        Some("cursor") => cursor,
        Some(name) => !name.contains(':') && !PLACES.contains(&name),
        None => url.as_str().starts_with("https://") || url.as_str().starts_with("http://"),
    };
    if !begins {
        found.error(place, "must begin with https:// or with a setting such as {api_url}");
    }
    if url.names().any(|name| name.starts_with("credential:")) {
        found.error(place, "must not have a credential in it, addresses are logged; put it into `headers`");
    }
}

fn request_faults<'a>(
    place: &str,
    (method, body, per_minute, timeout): (Method, bool, u32, i64),
    headers: impl Iterator<Item = &'a String>,
    found: &mut Findings,
) {
    if (method == Method::Post) != body {
        found.error(place, "`body` goes together with method = \"POST\"");
    }
    if per_minute == 0 {
        found.error(format!("{place}.per_minute"), "must be at least 1");
    }
    if !(1..=60_000_000).contains(&timeout) {
        found.error(format!("{place}.timeout"), "must be longer than 0 and at most 60s");
    }
    for name in headers.filter(|name| !is_header(name)) {
        found.error(format!("{place}.headers"), format!("`{name}` is no name of a header"));
    }
}

/// Goes through all operands of a platform with their places.
pub(crate) fn operands(platform: &Platform, visit: &mut dyn FnMut(&str, &Operand)) {
    fn all(place: &str, operands: &[Operand], visit: &mut dyn FnMut(&str, &Operand)) {
        operands.iter().for_each(|operand| visit(place, operand));
    }
    all("delivery_id", &platform.delivery_id, visit);
    if let Some(challenge) = &platform.challenge {
        all("challenge.at", &challenge.at.0, visit);
        challenge.when.iter().for_each(|condition| visit("challenge.when", condition.at()));
    }
    if let Some(poll) = &platform.poll {
        all("poll.next", poll.next.as_ref().map_or(&[], |next| &next.0), visit);
        poll.more.iter().for_each(|more| visit("poll.more", more.at()));
    }
    for (via, prefix) in VIAS {
        let Some(set) = platform.rules_for(via) else { continue };
        let mut of_reading = |place: &str, reading: super::platform::Reading| {
            let when = reading.occurred_at.map(|when| &when.at);
            for (field, operands) in [
                ("fact_id", reading.fact_id),
                ("case_id", reading.case_id),
                ("customer", reading.customer),
                ("occurred_at.at", when),
                ("reason", reading.reason),
                ("score", reading.score),
                ("value", reading.value),
                ("value_currency", reading.value_currency),
                ("episode", reading.episode),
            ] {
                let operands: &[Operand] = operands.map_or(&[], |operands: &Operands| &operands.0);
                all(&format!("{place}{field}"), operands, visit);
            }
            all(&format!("{place}evidence"), reading.evidence, visit);
        };
        of_reading(prefix, set.reading);
        for (nth, rule) in set.rules.iter().enumerate() {
            of_reading(&format!("{prefix}rules[{nth}]."), rule.reading(super::platform::Reading::default()));
        }
        for (nth, rule) in set.rules.iter().enumerate() {
            for (place, condition) in rule.when.iter().enumerate() {
                visit(&format!("{prefix}rules[{nth}].when[{place}].at"), condition.at());
            }
        }
    }
}

/// Looks for what is wrong or probably a mistake: in all definitions, and in sources that use them. `resolve` gives
/// the values of environment variables.
pub fn lint(
    catalogue: &Catalogue,
    sources: &[SourceConfig],
    resolve: &dyn Fn(&str) -> Option<String>,
) -> Vec<Finding> {
    let mut found = Findings::default();
    for (name, scheme) in catalogue.schemes() {
        if scheme.kind == SchemeKind::Sha {
            found.warn(
                format!("schemes.{name}.kind"),
                "a plain digest is not made to sign: take hmac if you can",
            );
        }
    }
    for (name, platform) in catalogue.platforms() {
        lint_platform(&format!("platforms.{name}"), platform, catalogue, &mut found);
    }
    let mut names = BTreeSet::new();
    for (nth, config) in sources.iter().enumerate() {
        let place = format!("sources[{nth}]");
        if !names.insert(&config.name) {
            found.error(format!("{place}.name"), format!("`{}` is there twice", config.name));
        }
        match Source::new(config, catalogue, resolve) {
            Ok(source) => lint_source(&place, &source, config, &mut found),
            Err(error) => found.error(place, error.to_string()),
        }
    }
    found.0
}

fn lint_platform(place: &str, platform: &Platform, catalogue: &Catalogue, found: &mut Findings) {
    for (via, prefix) in VIAS {
        let Some(set) = platform.rules_for(via) else { continue };
        for (nth, rule) in set.rules.iter().enumerate() {
            let at = format!("{place}.{prefix}rules[{nth}]");
            if rule.outcome.bills() && rule.when.is_empty() {
                found.error(&at, "bills whatever comes: give it conditions");
            }
            // A rule whose conditions are all asked by an earlier one comes too late.
            let asks = |earlier: &Rule| earlier.when.iter().all(|asked| rule.when.contains(asked));
            if let Some(before) = set.rules[..nth].iter().position(asks) {
                found.warn(&at, format!("can never match: rules[{before}] matches all that it does"));
            }
            for name in rule.when.iter().flat_map(|condition| condition.settings()) {
                if !platform.settings.contains_key(name) {
                    let text =
                        format!("setting:{name} has no default: the rule is off until a source sets it");
                    found.warn(&at, text);
                }
            }
        }
    }
    let scheme = platform.scheme.as_ref().and_then(|name| catalogue.scheme(name));
    let bills = platform.rules.iter().any(|rule| rule.outcome.bills());
    if bills && scheme.is_some_and(|scheme| scheme.kind == SchemeKind::Token) {
        found.warn(place, BILLS_BY_TOKEN);
    }
    if platform.samples.is_empty() && !platform.rules.is_empty() {
        found.warn(place, "has no samples: add [[samples]] with what must come of them");
    }
    let urls = [
        ("fetch.url", platform.fetch.as_ref().map(|fetch| &fetch.url)),
        ("poll.url", platform.poll.as_ref().map(|poll| &poll.url)),
    ];
    for (field, _) in urls.into_iter().filter(|(_, url)| url.is_some_and(|url| is_open(url.as_str()))) {
        found.error(format!("{place}.{field}"), "sends credentials unencrypted: take https://");
    }
}

/// Whether the rules take the customer from settings alone, and none of these is set.
fn has_no_customer(source: &Source, via: Via) -> bool {
    let set = source.platform_rules().rules_for(via).filter(|set| !set.rules.is_empty());
    let customer = set.and_then(|set| set.reading.customer);
    customer.is_some_and(|customer| {
        customer.0.iter().all(|operand| match operand.parts() {
            [Part::Setting(name)] => !source.settings().contains_key(name),
            _ => false,
        })
    })
}

fn lint_source(place: &str, source: &Source, config: &SourceConfig, found: &mut Findings) {
    if !source.has_secrets() {
        found.warn(format!("{place}.secrets"), "are none: every delivery is refused until one is added");
    }
    for key in &source.0.keys {
        if let Some(weakness) = key.weakness(&source.0.scheme) {
            found.warn(format!("{place}.secrets"), format!("the secret `{}` {weakness}", key.name));
        }
    }
    if config.tolerance == Some(Tolerance::Off) && source.0.scheme.signs_time() {
        found.warn(format!("{place}.tolerance"), "is off: what was captured can be sent again at any time");
    }
    let platform = source.platform_rules();
    let is_token = source.0.scheme.kind == SchemeKind::Token;
    if is_token && config.scheme.is_some() && platform.rules.iter().any(|rule| rule.outcome.bills()) {
        found.warn(format!("{place}.scheme"), BILLS_BY_TOKEN);
    }
    for (_, prefix) in VIAS.iter().filter(|(via, _)| has_no_customer(source, *via)) {
        let text = "is not set, and nothing else names the customer: facts would wait for a person";
        found.warn(format!("{place}.settings.customer"), format!("{text} ({prefix}rules)"));
    }
    let mut used: BTreeSet<String> = platform.settings.keys().cloned().collect();
    operands(platform, &mut |_, operand| {
        used.extend(operand.parts().iter().filter_map(|part| match part {
            Part::Setting(name) => Some(name.clone()),
            _ => None,
        }));
    });
    for set in VIAS.iter().filter_map(|(via, _)| platform.rules_for(*via)) {
        let conditions = set.rules.iter().flat_map(|rule| &rule.when);
        used.extend(conditions.flat_map(|condition| condition.settings()).map(String::from));
    }
    let fetch = source.fetch().map(fetch_templates).unwrap_or_default();
    let poll = platform.poll.as_ref().map(poll_templates).unwrap_or_default();
    used.extend(fetch.iter().chain(&poll).flat_map(|template| template.names()).map(String::from));
    for name in config.settings.keys().filter(|name| !used.contains(*name)) {
        let text = format!("is used by nothing in the platform `{}`", source.platform());
        found.warn(format!("{place}.settings.{name}"), text);
    }
    for (name, setting) in &config.settings {
        if setting.values().iter().filter_map(|value| value.as_str()).any(is_open) {
            found.warn(format!("{place}.settings.{name}"), "sends credentials unencrypted: take https://");
        }
    }
    for missing in source.unmet() {
        found.warn(place, format!("{missing} is not set: the platform cannot be asked"));
    }
}
