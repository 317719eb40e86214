use super::*;

const DAY: i64 = 20_000;
const TOLERANCE: Tolerance = Tolerance { percent_nanos: 500_000_000, amount_nanos: 10 };

fn billed(day: i64, model: &str, nanos: i64) -> Billed {
    Billed { day, model: model.into(), currency: "USD".into(), nanos }
}

fn recorded(day: i64, model: &str, nanos: i64, unknown_costs: i64) -> Recorded {
    Recorded { day, model: model.into(), currency: "USD".into(), attempts: 10, unknown_costs, nanos }
}

fn compared(names: &str, billed: &[Billed], recorded: &[Recorded]) -> ProviderBill {
    let query = BillQuery {
        provider: "openai".into(),
        from: DAY,
        to: DAY + 10,
        names: model_names(names).unwrap(),
        tolerance: TOLERANCE,
    };
    compare(&query, billed, recorded, Vec::new()).unwrap()
}

fn figures(row: &BillRow) -> (Agreement, Option<i64>, [i64; 5]) {
    let BillRow { recorded_nanos, covered_nanos, missing_nanos, excess_nanos, not_billed_nanos, .. } = row;
    let sums = [*recorded_nanos, *covered_nanos, *missing_nanos, *excess_nanos, *not_billed_nanos];
    (row.agreement, row.billed_nanos, sums)
}

#[test]
fn each_day_and_model_is_covered_missing_or_excess_and_sums_add_up() {
    let bill = compared(
        "",
        &[
            billed(DAY, "a", 1_000),
            billed(DAY, "b", 500),
            billed(DAY + 1, "a", 200),
            billed(DAY + 1, "c", 70),
        ],
        &[
            recorded(DAY, "a", 1_005, 0),
            recorded(DAY, "b", 300, 2),
            recorded(DAY + 1, "a", 260, 0),
            recorded(DAY + 1, "d", 30, 0),
            recorded(DAY + 2, "a", 40, 1),
        ],
    );
    use Agreement::*;
    let rows: Vec<_> = bill.rows.iter().map(figures).collect();
    assert_eq!(
        rows,
        [
            (Agrees, Some(1_000), [1_005, 1_000, 0, 5, 0]),
            (Missing, Some(500), [300, 300, 200, 0, 0]),
            (Excess, Some(200), [260, 200, 0, 60, 0]),
            (Missing, Some(70), [0, 0, 70, 0, 0]),
            (Excess, Some(0), [30, 0, 0, 30, 0]),
            // Not billed yet, which is not a bill of nothing.
            (NotBilled, None, [0, 0, 0, 0, 40]),
        ]
    );
    let days: Vec<_> = bill.days.iter().map(figures).collect();
    assert_eq!(
        days,
        [
            (Missing, Some(1_500), [1_305, 1_300, 200, 5, 0]),
            (Differs, Some(270), [290, 200, 70, 90, 0]),
            (NotBilled, None, [0, 0, 0, 0, 40]),
        ]
    );
    let total = &bill.totals[0];
    assert_eq!(figures(total), (Differs, Some(1_770), [1_595, 1_500, 270, 95, 40]));
    assert_eq!(total.recorded_nanos, total.covered_nanos + total.excess_nanos);
    assert_eq!(total.billed_nanos, Some(total.covered_nanos + total.missing_nanos));
    assert_eq!((total.attempts, total.unknown_cost_attempts), (50, 3));
    let a = &bill.models[0];
    assert_eq!(figures(a), (Excess, Some(1_200), [1_265, 1_200, 0, 65, 40]));
    let name = |of: &[Unmatched]| of.iter().map(|one| (one.model.clone(), one.nanos)).collect::<Vec<_>>();
    assert_eq!(
        (name(&bill.only_billed), name(&bill.only_recorded)),
        (vec![("c".into(), 70)], vec![("d".into(), 30)])
    );
    let told = what_differs(&bill, TOLERANCE).unwrap();
    let by_day = "0.00000177 USD billed, 0.000001595 USD recorded: 0.000000195 USD missing on some days, 0.00000002 USD in excess on others, with 3 attempts of unknown cost";
    assert!(told.contains(by_day), "{told}");
}

#[test]
fn a_bill_without_models_is_compared_with_the_day() {
    let lines = [recorded(DAY, "a", 600, 0), recorded(DAY, "b", 396, 0)];
    let bill = compared("", &[billed(DAY, "", 1_000)], &lines);
    assert_eq!(figures(&bill.rows[0]), (Agreement::Agrees, Some(1_000), [996, 996, 4, 0, 0]));
    assert_eq!((bill.rows.len(), bill.only_recorded.len()), (1, 0));
    assert_eq!(what_differs(&bill, TOLERANCE), None);
    // Where some lines name models, the others are of none: a credit lowers what is covered, and recorded is more than billed.
    let bill = compared("", &[billed(DAY, "", -100), billed(DAY, "a", 600), billed(DAY, "b", 396)], &lines);
    assert_eq!(figures(&bill.rows[0]), (Agreement::Excess, Some(-100), [0, -100, 0, 100, 0]));
    assert_eq!(figures(&bill.totals[0]), (Agreement::Excess, Some(896), [996, 896, 0, 100, 0]));
}

#[test]
fn models_by_two_names_are_matched_by_a_mapping_alone() {
    let (theirs, ours) = ([billed(DAY, "gpt-4o-2024-08-06", 500)], [recorded(DAY, "gpt-4o", 500, 0)]);
    let bill = compared("", &theirs, &ours);
    assert_eq!(figures(&bill.totals[0]), (Agreement::Differs, Some(500), [500, 0, 500, 500, 0]));
    assert_eq!((bill.only_billed.len(), bill.only_recorded.len()), (1, 1));
    assert!(bill_table(&bill).contains("Billed and not recorded"));
    assert_eq!(what_differs(&bill, TOLERANCE), None, "by day it agrees, whatever the models are called");
    let bill = compared("gpt-4o-2024-08-06=gpt-4o, x = y", &theirs, &ours);
    assert_eq!(figures(&bill.totals[0]), (Agreement::Agrees, Some(500), [500, 500, 0, 0, 0]));
    assert_eq!((bill.only_billed.len(), bill.only_recorded.len()), (0, 0));
    assert!(model_names("a").unwrap_err().contains("`a` is not like"));
    assert!(model_names("a=b,a=c").unwrap_err().contains("twice"));
}

#[test]
fn two_currencies_are_never_added() {
    let mut euros = recorded(DAY, "a", 7, 0);
    euros.currency = "EUR".into();
    let bill = compared("", &[billed(DAY, "a", 500)], &[euros]);
    let totals: Vec<_> = bill.totals.iter().map(|row| (row.currency.as_str(), figures(row))).collect();
    assert_eq!(
        totals,
        [
            // On a day that was billed: the bill has nothing in euros.
            ("EUR", (Agreement::Agrees, Some(0), [7, 0, 0, 7, 0])),
            ("USD", (Agreement::Missing, Some(500), [0, 0, 500, 0, 0])),
        ]
    );
}

#[test]
fn the_tolerance_is_a_share_or_an_amount() {
    let tolerance = Tolerance::read(Some("0.5"), Some("0.01")).unwrap();
    assert_eq!(tolerance, Tolerance::default());
    assert!(tolerance.allows(10_000_000, 0) && !tolerance.allows(10_000_001, 0));
    assert!(
        tolerance.allows(5_000_000_000, 1_000_000_000_000)
            && !tolerance.allows(5_000_000_001, 1_000_000_000_000)
    );
    assert!(!tolerance.allows(i64::MAX, i64::MIN));
    assert!(Tolerance::read(Some("-1"), None).unwrap_err().starts_with("tolerance_percent: "));
    assert!(Tolerance::read(None, Some("much")).unwrap_err().starts_with("tolerance_amount: "));
    let none = Tolerance::read(Some("0"), Some("0")).unwrap();
    assert!(none.allows(0, 0) && !none.allows(1, 1_000));
}

#[test]
fn csv_has_each_day_and_model_and_the_totals() {
    let bill = compared("", &[billed(DAY, "=a,b", 1_500_000_000)], &[recorded(DAY + 1, "c", 250_000_000, 1)]);
    let csv = bill_csv(&bill);
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(
        lines,
        [
            "day,model,currency,agreement,billed,recorded,covered,missing,excess,not_billed,attempts,unknown_cost",
            "2024-10-04,\"'=a,b\",USD,missing,1.50,0.00,0.00,1.50,0.00,0.00,0,0",
            "2024-10-05,c,USD,not_billed,,0.00,0.00,0.00,0.00,0.25,10,1",
            "total,,USD,missing,1.50,0.00,0.00,1.50,0.00,0.25,10,1",
        ]
    );
    let table = bill_table(&bill);
    assert!(table.contains("No bill was imported for these days."), "{table}");
}
