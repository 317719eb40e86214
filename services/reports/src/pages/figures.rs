//! What all pages of figures share: the form of filters, links that keep them, figures beside those of other days.

use super::encoded;
use crate::definitions::{Definition, definition};
use crate::text::rounded;
use crate::unit::permille;
use crate::view::{Compare, View, presets, slice_query};
use std::cmp::Ordering;
use verdict_domain::time::day_text;
use verdict_store::figures::Slice;

/// The pages of figures: their addresses and what they are called.
pub(super) const PAGES: [(&str, &str); 6] = [
    ("/overview", "Overview"),
    ("/reports/failure-cost", "Failure cost"),
    ("/customers", "Customers"),
    ("/agents", "Agents"),
    ("/models", "Models"),
    ("/actions", "Actions"),
];

/// A link of the navigation.
pub(super) struct Link {
    pub(super) name: &'static str,
    pub(super) href: String,
    pub(super) is_current: bool,
}

/// What stands around the figures: title, navigation, filters.
pub(super) struct Frame<'a> {
    pub(super) title: &'static str,
    pub(super) page: &'static str,
    pub(super) view: &'a View,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) beside: Option<String>,
    pub(super) nav: Vec<Link>,
    pub(super) presets: Vec<Link>,
    pub(super) own: (String, String),
}

impl<'a> Frame<'a> {
    pub(super) fn new(page: &'static str, view: &'a View, today: i64) -> Self {
        let nav = PAGES.map(|(path, name)| {
            let query = unsorted(view).query();
            Link { name, href: format!("{path}?{query}"), is_current: path == page }
        });
        let presets = presets(today).map(|(name, from, to)| Link {
            name,
            href: format!("{page}?{}", view.in_days(from, to).query()),
            is_current: (from, to) == (view.of.from, view.of.to),
        });
        let own = match view.compare {
            Compare::Days(from, to) => (day_text(from), day_text(to)),
            _ => Default::default(),
        };
        let title = PAGES.iter().find(|(path, _)| *path == page).map_or("", |(_, name)| name);
        Self {
            title,
            page,
            view,
            from: day_text(view.of.from),
            to: day_text(view.of.to),
            beside: view
                .compared()
                .map(|other| format!("{} to {}", day_text(other.from), day_text(other.to))),
            nav: nav.into(),
            presets: presets.into(),
            own,
        }
    }

    /// The choices of the form, and which is taken.
    pub(super) fn comparisons(&self) -> [(&'static str, &'static str, bool); 4] {
        Compare::CHOICES.map(|(name, text)| (name, text, self.view.compare.name() == name))
    }

    pub(super) fn has_own(&self) -> bool {
        matches!(self.view.compare, Compare::Days(..))
    }

    /// The fields that narrow it down: name, label, what is asked for.
    pub(super) fn fields(&self) -> [(&'static str, &'static str, &str); 4] {
        let of = &self.view.of;
        let text = |field: &'a Option<String>| field.as_deref().unwrap_or_default();
        [
            ("customer", "Customer", text(&of.customer)),
            ("agent", "Agent", text(&of.agent)),
            ("model", "Model", text(&of.model)),
            ("action", "Action", text(&of.action)),
        ]
    }

    /// What it is narrowed down to, and the way back to all.
    pub(super) fn narrowed(&self) -> Vec<(&'static str, &str, String)> {
        let without = |name: &str| {
            let mut view = self.view.clone();
            *field(&mut view.of, name) = None;
            format!("{}?{}", self.page, view.query())
        };
        self.fields()
            .into_iter()
            .filter(|(_, _, value)| !value.is_empty())
            .map(|(name, label, value)| (label, value, without(name)))
            .collect()
    }
}

fn unsorted(view: &View) -> View {
    View { sort: None, ..view.clone() }
}

fn field<'a>(of: &'a mut Slice, name: &str) -> &'a mut Option<String> {
    match name {
        "customer" => &mut of.customer,
        "agent" => &mut of.agent,
        "provider" => &mut of.provider,
        "model" => &mut of.model,
        _ => &mut of.action,
    }
}

/// The view narrowed down to one group.
pub(super) fn narrowed_to(view: &View, by: &str, key: &str) -> View {
    let mut view = unsorted(view);
    *field(&mut view.of, by) = Some(key.into());
    view
}

/// The cases behind a figure.
pub(super) fn cases_href(of: &Slice, more: &[(&str, &str)]) -> String {
    let mut href = format!("/cases?{}", slice_query(of));
    for (name, value) in more {
        href += &format!("&{name}={}", encoded(value));
    }
    href + "&sort=-cost"
}

/// Whether more of a figure is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Better {
    More,
    Less,
    Neither,
}

/// What became of a figure since the days it is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    /// `up 12.30 (+4.1 %), better`.
    pub(super) text: String,
    /// `better`, `worse` or nothing: it is said in words, too.
    pub(super) class: &'static str,
}

/// The change of a figure, shown by `text`; absent where one of the two has no value.
pub(super) fn change(
    now: Option<i64>,
    before: Option<i64>,
    better: Better,
    text: impl Fn(i64) -> String,
) -> Option<Change> {
    let (now, before) = (now?, before?);
    let more = i128::from(now) - i128::from(before);
    if more == 0 {
        return Some(Change { text: "unchanged".into(), class: "" });
    }
    let by = i64::try_from(more.abs()).map_or("–".into(), &text);
    let part = permille(more, i128::from(before).abs()).map(|permille| format!(" ({})", signed(permille)));
    let class = match (better, more > 0) {
        (Better::Neither, _) => "",
        (Better::More, true) | (Better::Less, false) => "better",
        _ => "worse",
    };
    let word = if class.is_empty() { String::new() } else { format!(", {class}") };
    let way = if more > 0 { "up" } else { "down" };
    Some(Change { text: format!("{way} {by}{}{word}", part.unwrap_or_default()), class })
}

/// The change of a rate, in points of a per cent: the per cent of a per cent is of no use.
pub(super) fn points(now: i64, before: i64) -> Change {
    let by = || percent((now - before).abs()).replace(" %", " points");
    match now.cmp(&before) {
        Ordering::Equal => Change { text: "unchanged".into(), class: "" },
        Ordering::Greater => Change { text: format!("up {}, better", by()), class: "better" },
        Ordering::Less => Change { text: format!("down {}, worse", by()), class: "worse" },
    }
}

/// `+4.1 %`, `−4.1 %`.
fn signed(permille: i64) -> String {
    format!("{}{}", if permille < 0 { "−" } else { "+" }, percent(permille.saturating_abs()))
}

/// `4.1 %`.
pub(super) fn percent(permille: i64) -> String {
    let sign = if permille < 0 { "-" } else { "" };
    format!("{sign}{}.{} %", permille.unsigned_abs() / 10, permille.unsigned_abs() % 10)
}

/// Money, or a dash.
pub(super) fn money(nanos: Option<i64>, currency: &str) -> String {
    nanos.map_or("–".into(), |nanos| rounded(nanos, currency))
}

/// A key figure.
pub(super) struct Tile {
    pub(super) definition: Definition,
    pub(super) value: String,
    pub(super) change: Option<Change>,
    pub(super) notes: Vec<String>,
    /// The cases behind it.
    pub(super) href: Option<String>,
}

impl Tile {
    pub(super) fn new(id: &str, value: String) -> Self {
        Self { definition: definition(id), value, change: None, notes: Vec::new(), href: None }
    }

    pub(super) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    pub(super) fn is_negative(&self) -> bool {
        self.value.starts_with('-')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_in_words_and_signs() {
        let told = |now, before, better| {
            change(now, before, better, |nanos| rounded(nanos, "USD"))
                .map(|change| (change.text, change.class))
        };
        let (one, two) = (Some(1_000_000_000), Some(2_000_000_000));
        assert_eq!(told(two, one, Better::More), Some(("up 1.0000 (+100.0 %), better".into(), "better")));
        assert_eq!(told(one, two, Better::More), Some(("down 1.0000 (−50.0 %), worse".into(), "worse")));
        assert_eq!(told(one, two, Better::Neither), Some(("down 1.0000 (−50.0 %)".into(), "")));
        assert_eq!(told(two, Some(0), Better::Less), Some(("up 2.0000, worse".into(), "worse")));
        assert_eq!(told(Some(-1), Some(-1), Better::Less), Some(("unchanged".into(), "")));
        assert_eq!(told(None, one, Better::Less), None);
        assert_eq!(points(415, 420), Change { text: "down 0.5 points, worse".into(), class: "worse" });
        let far = told(Some(i64::MAX), Some(i64::MIN), Better::Less).unwrap();
        assert_eq!(far.0, "up – (+200.0 %), worse");
    }
}
