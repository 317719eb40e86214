//! Long lists in pages. One that is read along an index leads from each page to the next; one that is computed as a whole has
//! pages with numbers. Sums are always over all lines, and the files (CSV, XLSX, JSON) have all of them.

use super::{encoded, length};

/// The most lines of a list on a page.
pub const LINES: usize = 100;

/// Where a page stands in a list that is read from place to place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Turn {
    /// Whether it is not the first one.
    pub is_later: bool,
    /// Where the next one begins, if there is one.
    pub next: Option<String>,
}

impl Turn {
    /// The links of a page with this address, `query` being what it was asked for beside the place.
    pub(super) fn links(&self, path: &str, query: &[(&str, &str)]) -> Links {
        let href = |after: Option<&str>| {
            let pairs = query.iter().copied().chain(after.map(|after| ("after", after)));
            let pairs: Vec<String> =
                pairs.map(|(name, value)| format!("{name}={}", encoded(value))).collect();
            if pairs.is_empty() { path.to_string() } else { format!("{path}?{}", pairs.join("&")) }
        };
        Links {
            first: self.is_later.then(|| href(None)),
            next: self.next.as_deref().map(|next| href(Some(next))),
        }
    }
}

/// Links to other pages of a list; shown by `turn.html`.
pub(super) struct Links {
    pub(super) first: Option<String>,
    pub(super) next: Option<String>,
}

/// One page of lines that are all there; shown by `numbered.html`.
pub(super) struct Numbered<'a, T> {
    pub(super) lines: &'a [T],
    /// `101 to 200 of 1,000`; nothing where all are on one page.
    pub(super) which: Option<String>,
    /// What a link to another page is called, its relation, and where it leads.
    pub(super) links: Vec<(&'static str, &'static str, String)>,
}

impl<'a, T> Numbered<'a, T> {
    /// The page of this number, the first being 1; of one that is not there any more, the last.
    pub(super) fn of(all: &'a [T], number: usize, href: impl Fn(usize) -> String) -> Self {
        let pages = all.len().div_ceil(LINES).max(1);
        let number = number.clamp(1, pages);
        let from = (number - 1) * LINES;
        let lines = &all[from..all.len().min(from + LINES)];
        let which = (pages > 1).then(|| format!("{} to {} of {}", from + 1, from + lines.len(), length(all)));
        let links = [
            ("First page", "first", (number > 2).then_some(1)),
            ("Previous page", "prev", (number > 1).then(|| number - 1)),
            ("Next page", "next", (number < pages).then_some(number + 1)),
            ("Last page", "last", (number + 1 < pages).then_some(pages)),
        ];
        let links = links.into_iter().filter_map(|(name, relation, to)| Some((name, relation, href(to?))));
        Self { lines, which, links: links.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(of: usize, number: usize) -> (Vec<usize>, String, Vec<String>) {
        let all: Vec<usize> = (1..=of).collect();
        let page = Numbered::of(&all, number, |to| to.to_string());
        let links = page.links.iter().map(|(name, _, href)| format!("{name} {href}")).collect();
        (page.lines.to_vec(), page.which.unwrap_or_default(), links)
    }

    #[test]
    fn each_line_is_on_one_page() {
        for of in [1, LINES - 1, LINES, LINES + 1, 1_000] {
            let pages = of.div_ceil(LINES);
            let lines: Vec<usize> = (1..=pages).flat_map(|number| page(of, number).0).collect();
            assert_eq!(lines, (1..=of).collect::<Vec<_>>());
            assert_eq!(page(of, pages + 7).0, page(of, pages).0, "beyond the last one");
        }
        assert_eq!(page(0, 1).0, [0; 0]);
        assert_eq!(page(LINES, 1), ((1..=LINES).collect(), String::new(), Vec::new()));
        let (lines, which, links) = page(1_000, 3);
        assert_eq!((lines[0], which.as_str()), (201, "201 to 300 of 1,000"));
        assert_eq!(links, ["First page 1", "Previous page 2", "Next page 4", "Last page 10"]);
        assert_eq!(page(250, 3).1, "201 to 250 of 250");
        assert_eq!(page(250, 3).2, ["First page 1", "Previous page 2"]);
        assert_eq!(page(250, 2).2, ["Previous page 1", "Next page 3"]);
    }

    #[test]
    fn a_turn_keeps_what_was_asked_for() {
        let turn = |is_later, next: Option<&str>| Turn { is_later, next: next.map(Into::into) };
        let links = turn(true, Some(r#"[1,"a&b"]"#)).links("/cases", &[("customer", "a b")]);
        assert_eq!(links.first.as_deref(), Some("/cases?customer=a%20b"));
        assert_eq!(links.next.as_deref(), Some("/cases?customer=a%20b&after=%5B1%2C%22a%26b%22%5D"));
        let links = turn(false, None).links("/invoices", &[]);
        assert_eq!((links.first, links.next), (None, None));
        assert_eq!(turn(true, None).links("/invoices", &[]).first.as_deref(), Some("/invoices"));
    }
}
