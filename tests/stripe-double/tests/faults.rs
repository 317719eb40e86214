//! Each way in which a call can go wrong, what the client makes of it, and that nothing is billed twice.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{Answer, call, check_traffic, client, customer, draft, impatient, line, recorded};
use verdict_billing::stripe::{InvoiceState, InvoiceStatus, Stripe, StripeError};
use verdict_stripe_double::{Fault, FaultKind, RandomFaults, StripeDouble};

struct Case {
    double: StripeDouble,
    stripe: Stripe,
    payer: String,
}

impl Case {
    /// A customer, and a fault for the invoice that is created next.
    async fn new(double: StripeDouble, fault: FaultKind) -> Self {
        let stripe = client(&double);
        let payer = stripe.create_customer("customer/c-1", &customer("c-1")).await.unwrap();
        double.faults([Fault::new("POST", "/v1/invoices", fault)]);
        Self { double, stripe, payer }
    }

    async fn send(&self, key: &str) -> Result<InvoiceState, StripeError> {
        self.stripe.create_invoice(key, &draft(&self.payer, "inv-1")).await
    }

    async fn find(&self) -> Option<InvoiceState> {
        self.stripe.find_invoice(&self.payer, "inv-1").await.unwrap()
    }
}

fn unknown(result: &Result<InvoiceState, StripeError>) -> bool {
    matches!(result, Err(StripeError::Unknown { .. }))
}

#[tokio::test]
async fn applied_but_unanswered_calls_are_found_and_not_repeated() {
    for (name, fault) in [
        ("error-after", FaultKind::ErrorAfterCommit),
        ("drop-after", FaultKind::DropConnection { committed: true }),
        ("html-after", FaultKind::Html502 { committed: true }),
        ("hang-after", FaultKind::HangAfterCommit { ms: 1_500 }),
    ] {
        let (double, traffic) = recorded(name);
        let mut case = Case::new(double, fault).await;
        let patient = std::mem::replace(&mut case.stripe, impatient(&case.double));
        let sent = case.send("invoice/1").await;
        case.stripe = patient;
        assert!(unknown(&sent), "{fault:?}: {sent:?}");
        assert_eq!(case.double.invoices().len(), 1, "{fault:?}");
        let found = case.find().await.unwrap();

        // The same key cannot apply it again, whatever it is answered.
        match (fault, case.send("invoice/1").await) {
            (FaultKind::ErrorAfterCommit, Err(StripeError::Unknown { .. })) => {}
            (FaultKind::HangAfterCommit { .. }, Err(StripeError::NotNow { .. })) => {
                tokio::time::sleep(Duration::from_millis(1_500)).await;
                assert_eq!(case.send("invoice/1").await.unwrap(), found);
            }
            (_, Ok(again)) => assert_eq!(again, found),
            (_, other) => panic!("{fault:?}: {other:?}"),
        }
        assert_eq!(case.double.invoices().len(), 1, "{fault:?}");
        drop(case);
        check_traffic(&traffic);
    }
}

#[tokio::test]
async fn calls_that_were_not_applied_are_not_found_and_can_be_repeated() {
    for (name, fault) in [
        ("error-before", FaultKind::ErrorBeforeCommit),
        ("drop-before", FaultKind::DropConnection { committed: false }),
        ("html-before", FaultKind::Html502 { committed: false }),
    ] {
        let (double, traffic) = recorded(name);
        let case = Case::new(double, fault).await;
        let sent = case.send("invoice/1").await;
        assert!(unknown(&sent), "{fault:?}: {sent:?}");
        assert_eq!(case.find().await, None);

        let mut again = case.send("invoice/1").await;
        if fault == FaultKind::ErrorBeforeCommit {
            // Stripe repeats a 500 for its key: it takes another.
            assert!(unknown(&again), "{again:?}");
            assert_eq!(case.find().await, None);
            again = case.send("invoice/1/2").await;
        }
        assert_eq!(case.find().await, Some(again.unwrap()));
        assert_eq!(case.double.invoices().len(), 1, "{fault:?}");
        drop(case);
        check_traffic(&traffic);
    }
}

#[tokio::test]
async fn a_limited_rate_is_not_now() {
    let (double, traffic) = recorded("rate");
    let case = Case::new(double, FaultKind::RateLimited { retry_after: 7 }).await;
    let sent = case.send("invoice/1").await;
    assert!(matches!(sent, Err(StripeError::NotNow { .. })), "{sent:?}");
    assert_eq!(case.double.invoices().len(), 0);
    case.send("invoice/1").await.unwrap();
    assert_eq!(case.double.invoices().len(), 1);
    drop(case);
    check_traffic(&traffic);
}

#[tokio::test]
async fn a_key_in_flight_is_not_now() {
    let double = StripeDouble::start(None);
    let case = Case::new(double, FaultKind::HangAfterCommit { ms: 1_000 }).await;
    let late = case.send("invoice/1");
    let twin = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        case.send("invoice/1").await
    };
    let (late, twin) = tokio::join!(late, twin);
    assert!(matches!(twin, Err(StripeError::NotNow { .. })), "{twin:?}");
    assert_eq!(case.send("invoice/1").await.unwrap(), late.unwrap());
    assert_eq!(case.double.invoices().len(), 1);
}

#[tokio::test]
async fn faults_hit_the_calls_they_were_ordered_for() {
    let double = StripeDouble::start(None);
    let one = |path: &str| Fault::new("GET", path, FaultKind::RateLimited { retry_after: 2 });
    double.faults([
        one("/v1/invoices/*/lines").skip(1).count(2),
        Fault { method: None, ..one("/v1/customers") },
    ]);
    let get = async |path: &str| call(&double, "GET", path, None, "").await;
    let statuses = async |path: &str| {
        let mut found = Vec::new();
        for _ in 0..4 {
            found.push(get(path).await.status);
        }
        found
    };
    assert_eq!(statuses("/v1/invoices/in_1/lines").await, [404, 429, 429, 404]);
    assert_eq!(statuses("/v1/invoices/in_1").await, [404; 4]);
    let Answer { status, retry_after, .. } = get("/v1/customers").await;
    assert_eq!((status, retry_after.as_deref()), (429, Some("2")));
    assert_eq!(get("/v1/customers").await.status, 200);
}

/// Gets one call through, as billing is meant to: by the kind of the failure.
async fn get_through<T>(
    name: &str,
    mut send: impl AsyncFnMut(&str) -> Result<T, StripeError>,
    mut find: impl AsyncFnMut() -> Result<Option<T>, StripeError>,
) -> T {
    let mut unknown = 0;
    loop {
        // Once more with the same key, as the first call may be on its way; then another, as a 500 is repeated.
        match send(&format!("{name}/{}", unknown / 2)).await {
            Ok(done) => return done,
            Err(StripeError::NotNow { .. }) => continue,
            Err(StripeError::Refused { message, .. }) => panic!("{name}: {message}"),
            Err(StripeError::Unknown { .. }) => unknown += 1,
        }
        let found = loop {
            if let Ok(found) = find().await {
                break found;
            }
        };
        if let Some(done) = found {
            return done;
        }
    }
}

#[tokio::test]
async fn random_faults_bill_exactly_once() {
    for seed in 0..12 {
        let (double, traffic) = recorded(&format!("random-{seed}"));
        let stripe = impatient(&double);
        double.random_faults(Some(RandomFaults { seed, per_mille: 400, hang_ms: 300 }));

        let payer = get_through(
            &format!("random-{seed}/customer"),
            async |key: &str| stripe.create_customer(key, &customer("c-1")).await,
            async || stripe.find_customer("c-1", 0).await,
        )
        .await;
        let invoice = get_through(
            &format!("random-{seed}/invoice"),
            async |key: &str| stripe.create_invoice(key, &draft(&payer, "inv-1")).await,
            async || stripe.find_invoice(&payer, "inv-1").await,
        )
        .await;
        for number in 1..=4_u32 {
            get_through(
                &format!("random-{seed}/line/{number}"),
                async |key: &str| {
                    stripe.add_item(key, &line(&payer, &invoice.id, number, i64::from(number) * 100)).await
                },
                async || {
                    let items = stripe.list_items(&invoice.id).await?;
                    Ok(items.into_iter().find(|item| item.line == Some(number)).map(|item| item.id))
                },
            )
            .await;
        }
        let open = get_through(
            &format!("random-{seed}/finalize"),
            async |key: &str| stripe.finalize_invoice(key, &invoice.id).await,
            async || {
                let invoice = stripe.get_invoice(&invoice.id).await?;
                Ok(Some(invoice).filter(|invoice| invoice.status != InvoiceStatus::Draft))
            },
        )
        .await;
        assert_eq!((open.status, open.total), (InvoiceStatus::Open, 1_000), "seed {seed}");
        let counts = (double.customers().len(), double.invoices().len(), double.items().len());
        assert_eq!(counts, (1, 1, 4), "seed {seed}");
        drop(double);
        check_traffic(&traffic);
    }
}
