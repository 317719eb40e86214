use super::*;

/// September, October and November of 2026, in UTC.
const MONTHS: [Period; 3] = [
    Period { start: T, end: T + 30 * DAY, closes_at: T + 33 * DAY },
    Period { start: T + 30 * DAY, end: T + 61 * DAY, closes_at: T + 64 * DAY },
    Period { start: T + 61 * DAY, end: T + 91 * DAY, closes_at: T + 94 * DAY },
];

/// One euro an outcome.
fn one_euro() -> Contract {
    let mut contract = Contract { time_zone: "UTC".into(), ..contract(Rule::default()) };
    contract.prices[0].amount = Some("1".into());
    contract
}

fn take(books: &mut Books, month: usize, version: u32, n: i64) {
    let tally = Tally { n, listed: i128::from(n) * 1_000_000_000 };
    books.take(MONTHS[month], version, "support.resolution", "confirmed", tally);
}

/// The documents of a closing in short: kind, state, the month that it is about, and the total.
fn close(
    books: &mut Books,
    month: usize,
    touched: &[usize],
) -> Vec<(&'static str, &'static str, Option<usize>, i64)> {
    let touched: Vec<Period> = touched.iter().map(|nth| MONTHS[*nth]).collect();
    let month_of = |start: i64| MONTHS.iter().position(|period| period.start == start).unwrap();
    let short = |document: Document| {
        (document.kind, document.state, document.about.map(month_of), document.total_minor)
    };
    books.close(MONTHS[month], &touched).into_iter().map(short).collect()
}

#[test]
fn a_credit_note_takes_off_no_more_than_its_invoice_bears() {
    let mut books = Books::new(vec![Contract { corrections: Corrections::CreditNote, ..one_euro() }]);
    take(&mut books, 0, 1, 5);
    assert_eq!(close(&mut books, 0, &[0]), [("invoice", "final", None, 500)]);
    take(&mut books, 0, 1, -3);
    take(&mut books, 1, 1, 1);
    let expected = [("credit_note", "final", Some(0), -300), ("invoice", "final", None, 100)];
    assert_eq!(close(&mut books, 1, &[0, 1]), expected);
    // Of 5 are 2 left: a credit of 3 goes on the invoice, and of 2 does not. What an earlier month costs more does, too.
    take(&mut books, 0, 1, -3);
    take(&mut books, 1, 1, 1);
    assert_eq!(close(&mut books.clone(), 2, &[0, 1, 2]), [("invoice", "final", None, -200)]);
    take(&mut books, 0, 1, 1);
    let expected = [("credit_note", "final", Some(0), -200), ("invoice", "final", None, 100)];
    assert_eq!(close(&mut books, 2, &[0, 1, 2]), expected);
}

#[test]
fn a_trial_and_what_is_charged_share_no_document() {
    let trial = Contract { shadow: true, corrections: Corrections::CreditNote, ..one_euro() };
    let live = Contract { version: 2, shadow: false, effective_from: MONTHS[1].start, ..trial.clone() };
    let back = Contract { version: 3, effective_from: MONTHS[2].end - 1, ..trial.clone() };
    let mut books = Books::new(vec![trial, live, back]);
    take(&mut books, 0, 1, 5);
    assert_eq!(close(&mut books, 0, &[0]), [("invoice", "shadow", None, 500)]);
    take(&mut books, 0, 1, -1);
    take(&mut books, 1, 2, 2);
    let expected = [("invoice", "shadow", Some(0), -100), ("invoice", "final", None, 200)];
    assert_eq!(close(&mut books, 1, &[0, 1]), expected);
    // A trial again, by its last microsecond: of the months before, one is a trial as it is, the other costs more.
    take(&mut books, 0, 1, -1);
    take(&mut books, 1, 2, 3);
    let expected = [("invoice", "final", Some(1), 300), ("invoice", "shadow", None, -100)];
    assert_eq!(close(&mut books, 2, &[0, 1, 2]), expected);
}

#[test]
fn credits_are_drawn_by_what_expires_first_and_go_back() {
    let grant = |id: &str, amount: &str, expires_at| Grant {
        id: id.into(),
        customer: "acme".into(),
        amount: amount.into(),
        currency: "EUR".into(),
        effective_at: T,
        expires_at,
    };
    let mut books = Books::new(vec![one_euro()]);
    // Valid to the end of September, to the microsecond; of two that never expire, the first by id.
    books.grant(vec![
        grant("b", "4", None),
        grant("a", "1.50", None),
        grant("z", "2", Some(MONTHS[1].start)),
    ]);
    let drawn = |books: &mut Books, month, touched: &[usize]| {
        let touched: Vec<Period> = touched.iter().map(|nth| MONTHS[*nth]).collect();
        let lines = books.close(MONTHS[month], &touched).into_iter().flat_map(|document| document.lines);
        let credits = lines.filter_map(|line| match line.item {
            Item::Credits { grant } => Some((grant, line.contract_version, line.quantity, line.amount_minor)),
            _ => None,
        });
        credits.collect::<Vec<_>>()
    };
    let of = |id: &str, quantity, minor| (id.to_owned(), 0, quantity, minor);
    take(&mut books, 0, 1, 5);
    assert_eq!(drawn(&mut books, 0, &[0]), [of("a", 1, -150), of("b", 1, -150), of("z", 1, -200)]);
    // September needs 1 of z now, all else goes back; October has 1.50 of a and 4 of b, but nothing of z.
    take(&mut books, 0, 1, -4);
    take(&mut books, 1, 1, 9);
    let back = [of("a", -1, 150), of("b", -1, 150), of("z", 0, 100)];
    let october = [of("a", 1, -150), of("b", 1, -400)];
    assert_eq!(drawn(&mut books, 1, &[0, 1]), [&back[..], &october[..]].concat());
}

#[test]
fn attempts_are_charged_by_the_version_that_they_ended_under() {
    let usage = |percent: &str| {
        vec![UsagePrice {
            action: "chat".into(),
            percent: Some(percent.into()),
            per_request: Some("0.5".into()),
            ..UsagePrice::default()
        }]
    };
    let mut traffic = acme(Rule::default());
    traffic.contracts[0] = Contract { currency: "USD".into(), usage: usage("20"), ..one_euro() };
    let second =
        Contract { version: 2, effective_from: h(48), usage: usage("50"), ..traffic.contracts[0].clone() };
    traffic.contracts.push(second);
    let attempt = |traffic: Traffic, id: &str, at| {
        traffic.attempt(id, at, Status::Replied).of_case(&format!("case of {id}")).toward("chat")
    };
    // Each costs 0.01 dollars; one costs euros, and one nobody knows what.
    traffic = attempt(attempt(traffic, "a1", h(1)), "a2", h(2));
    traffic = attempt(attempt(traffic, "a3", h(48)), "a4", h(3));
    traffic.attempts[1].reported_cost.as_mut().unwrap().currency = "EUR".into();
    traffic.attempts[3].reported_cost = None;
    let oracle = Oracle::new(&traffic, h(40 * 24));
    let documents = oracle.documents();
    let lines = documents[0].lines.iter();
    let short =
        |line: &Line| (line.contract_version, line.item.name(), line.quantity, line.amount_nanos / 1_000_000);
    let expected =
        [(1, "model_cost", 3, 10), (1, "mark_up", 1, 502), (2, "model_cost", 1, 10), (2, "mark_up", 1, 505)];
    assert_eq!(lines.map(short).collect::<Vec<_>>(), expected);
    assert_eq!(documents[0].total_minor, 1 + 50 + 1 + 51);
}

#[test]
fn what_is_posted_keeps_its_price_and_usage_its_version() {
    let traffic = acme(Rule::default()).answered("a1", h(240)).answered("a2", h(240)).of_case("c2");
    let mut journal = Journal::new("acme");
    let (first, second) = (traffic.attempts[0].clone(), traffic.attempts[1].clone());
    journal.learn(Traffic { attempts: vec![first], contracts: vec![one_euro()], ..Traffic::default() });
    journal.go_to(h(320));
    // Put for a time that is over: the first outcome is posted, the second is not known yet.
    let mut version = Contract { version: 2, effective_from: h(200), ..one_euro() };
    version.prices[0].assumed_amount = Some("3".into());
    journal.learn(Traffic { contracts: vec![version], ..Traffic::default() });
    journal.learn(Traffic { attempts: vec![second], ..Traffic::default() });
    journal.go_to(h(400));
    let short =
        |entry: &Entry| (entry.case.clone(), entry.posting.contract_version, entry.posting.amount_nanos);
    let ledger: Vec<_> = journal.ledger().iter().map(short).collect();
    assert_eq!(ledger, [("c1".to_owned(), 1, 790_000_000), ("c2".to_owned(), 2, 3_000_000_000)]);
}
