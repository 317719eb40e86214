//! Billing's client of Stripe against the double.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::time::Duration;

use common::{SECRET, TIMEOUT, check_traffic, client, customer, draft, line, recorded};
use verdict_billing::stripe::{
    Collection, ConfigError, InvoiceStatus, NewCustomer, NewInvoice, Stripe, StripeError,
};
use verdict_stripe_double::StripeDouble;

#[tokio::test]
async fn an_invoice_is_drafted_filled_and_finalised() {
    let (double, traffic) = recorded("client");
    let stripe = client(&double);

    let payer = stripe.create_customer("customer/c-1", &customer("c-1")).await.unwrap();
    assert_eq!(stripe.find_customer("c-1", 0).await.unwrap(), Some(payer.clone()));
    assert_eq!(stripe.find_customer("c-2", 0).await.unwrap(), None);

    let empty = stripe.create_invoice("invoice/inv-1", &draft(&payer, "inv-1")).await.unwrap();
    assert_eq!((empty.status, empty.total), (InvoiceStatus::Draft, 0));
    for (number, amount) in [(1, 12_345), (2, -45), (3, 700)] {
        let new = line(&payer, &empty.id, number, amount);
        stripe.add_item(&format!("invoice/inv-1/line/{number}"), &new).await.unwrap();
    }
    let filled = stripe.get_invoice(&empty.id).await.unwrap();
    assert_eq!((filled.status, filled.total), (InvoiceStatus::Draft, 13_000));
    let lines = stripe.list_items(&empty.id).await.unwrap();
    let lines: Vec<_> = lines.iter().map(|item| (item.line, item.amount_minor)).collect();
    assert_eq!(lines, [(Some(3), 700), (Some(2), -45), (Some(1), 12_345)]);

    let open = stripe.finalize_invoice("invoice/inv-1/finalize", &empty.id).await.unwrap();
    assert_eq!((open.status, open.total), (InvoiceStatus::Open, 13_000));
    assert_eq!(stripe.find_invoice(&payer, "inv-1").await.unwrap(), Some(open));
    assert_eq!(stripe.find_invoice(&payer, "inv-2").await.unwrap(), None);

    let item = &double.items()[1];
    assert_eq!(item["invoice"], *empty.id);
    assert_eq!(item["description"], "Refund requests settled, 100% & more");
    for (name, value) in [
        ("verdict_invoice", "inv-1"),
        ("verdict_line", "2"),
        ("verdict_quantity", "-2"),
        ("verdict_action", "refund[eu]"),
        ("verdict_kind", "confirmed"),
    ] {
        assert_eq!(item["metadata"][name], value);
    }
    assert_eq!(double.customers()[0]["name"], "Ärmel & Söhne");
    assert_eq!(double.invoices()[0]["amount_due"], 13_000);
    drop(double);
    check_traffic(&traffic);
}

#[tokio::test]
async fn lists_are_read_to_their_end() {
    let (double, traffic) = recorded("pages");
    let stripe = client(&double);
    let payer = stripe.create_customer("pages/customer", &customer("c-1")).await.unwrap();
    let mut first = None;
    for number in 0..205 {
        let (key, ours) = (format!("pages/invoice/{number}"), format!("inv-{number}"));
        let invoice = stripe.create_invoice(&key, &draft(&payer, &ours)).await.unwrap();
        first.get_or_insert(invoice);
        stripe
            .create_customer(&format!("pages/customer/{number}"), &customer(&format!("x-{number}")))
            .await
            .unwrap();
    }
    let first = first.unwrap();
    assert_eq!(stripe.find_invoice(&payer, "inv-0").await.unwrap(), Some(first.clone()));
    assert_eq!(stripe.find_invoice(&payer, "inv-none").await.unwrap(), None);
    assert_eq!(stripe.find_customer("c-1", 0).await.unwrap(), Some(payer.clone()));

    for number in 1..=250 {
        stripe.add_item(&format!("pages/line/{number}"), &line(&payer, &first.id, number, 1)).await.unwrap();
    }
    let lines: BTreeSet<_> =
        stripe.list_items(&first.id).await.unwrap().iter().map(|item| item.line).collect();
    assert_eq!(lines, (1..=250).map(Some).collect());
    let too_many = stripe.add_item("pages/line/251", &line(&payer, &first.id, 251, 1)).await;
    assert!(matches!(too_many, Err(StripeError::Refused { status: 400, .. })), "{too_many:?}");
    drop(double);
    check_traffic(&traffic);
}

#[tokio::test]
async fn customers_created_earlier_are_not_looked_at() {
    let double = StripeDouble::start(None);
    let stripe = client(&double);
    double.set_clock(Some(1_000));
    let payer = stripe.create_customer("customer/c-1", &customer("c-1")).await.unwrap();
    assert_eq!(stripe.find_customer("c-1", 1_000).await.unwrap(), Some(payer));
    assert_eq!(stripe.find_customer("c-1", 1_001).await.unwrap(), None);
}

#[tokio::test]
async fn an_invoice_to_send_needs_an_address() {
    let (double, traffic) = recorded("send");
    let stripe = client(&double);
    double.set_clock(Some(1_000_000));
    let send = Collection::SendInvoice { days_until_due: 30 };

    let payer = stripe.create_customer("send/customer/c-1", &customer("c-1")).await.unwrap();
    let new = NewInvoice { collection: send, ..draft(&payer, "inv-1") };
    let invoice = stripe.create_invoice("send/invoice/inv-1", &new).await.unwrap();
    stripe.add_item("send/line/1", &line(&payer, &invoice.id, 1, 5)).await.unwrap();
    stripe.finalize_invoice("send/finalize/1", &invoice.id).await.unwrap();
    assert_eq!(double.invoices()[0]["collection_method"], "send_invoice");
    assert_eq!(double.invoices()[0]["due_date"], 1_000_000 + 30 * 86_400);

    let without = NewCustomer { email: None, ..customer("c-2") };
    let payer = stripe.create_customer("send/customer/c-2", &without).await.unwrap();
    let new = NewInvoice { collection: send, ..draft(&payer, "inv-2") };
    let refused = stripe.create_invoice("send/invoice/inv-2", &new).await;
    assert!(matches!(refused, Err(StripeError::Refused { status: 400, .. })), "{refused:?}");
    drop(double);
    check_traffic(&traffic);
}

#[tokio::test]
async fn refusals_tell_why() {
    let double = StripeDouble::start(None);
    let stripe = client(&double);
    match stripe.get_invoice("in_nowhere").await {
        Err(StripeError::Refused { status: 404, code: Some(code), message }) => {
            assert_eq!(
                (code.as_str(), message.as_str()),
                ("resource_missing", "No such invoice: 'in_nowhere'")
            );
        }
        other => panic!("{other:?}"),
    }
    let payer = stripe.create_customer("customer/c-1", &customer("c-1")).await.unwrap();
    let invoice = stripe.create_invoice("invoice/1", &draft(&payer, "inv-1")).await.unwrap();
    stripe.finalize_invoice("finalize/1", &invoice.id).await.unwrap();
    match stripe.add_item("line/1", &line(&payer, &invoice.id, 1, 5)).await {
        Err(StripeError::Refused { status: 400, code: Some(code), .. }) => {
            assert_eq!(code, "invoice_not_editable")
        }
        other => panic!("{other:?}"),
    }
    for unfit in ["", "naïve", "two words", &"k".repeat(256)] {
        let refused = stripe.create_customer(unfit, &customer("c-2")).await;
        assert!(matches!(refused, Err(StripeError::Refused { .. })), "{refused:?}");
    }
    assert_eq!(double.customers().len(), 1);
}

#[tokio::test]
async fn a_wrong_key_and_no_connection_are_not_now() {
    let double = StripeDouble::start(None);
    let stripe = Stripe::new("sk_live_not_for_doubles", Some(&double.base_url), TIMEOUT).unwrap();
    let refused = stripe.create_customer("customer/c-1", &customer("c-1")).await;
    assert!(matches!(refused, Err(StripeError::NotNow { .. })), "{refused:?}");

    // A port that was free a moment ago.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let stripe = Stripe::new(SECRET, Some(&format!("http://{closed}")), TIMEOUT).unwrap();
    let refused = stripe.create_customer("customer/c-1", &customer("c-1")).await;
    assert!(matches!(refused, Err(StripeError::NotNow { .. })), "{refused:?}");
}

#[tokio::test]
async fn the_same_call_always_reads_the_same() {
    let double = StripeDouble::start(None);
    let stripe = client(&double);
    let payer = stripe.create_customer("customer/c-1", &customer("c-1")).await.unwrap();
    let invoice = stripe.create_invoice("invoice/1", &draft(&payer, "inv-1")).await.unwrap();
    let new = line(&payer, &invoice.id, 1, 5);
    for _ in 0..20 {
        stripe.add_item("line/1", &new).await.unwrap();
    }
    let sent: BTreeSet<_> = double
        .calls()
        .into_iter()
        .filter(|call| call.path == "/v1/invoiceitems")
        .map(|call| call.body)
        .collect();
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert_eq!(double.items().len(), 1);
}

#[test]
fn a_client_needs_a_key() {
    for empty in ["", "  "] {
        assert!(matches!(Stripe::new(empty, None, Duration::from_secs(1)), Err(ConfigError::EmptyKey)));
    }
    assert!(matches!(Stripe::new("sk_test_\n", None, TIMEOUT), Err(ConfigError::Invalid(_))));
    assert!(matches!(Stripe::new(SECRET, Some("no url"), TIMEOUT), Err(ConfigError::Invalid(_))));
    for (key, live) in [("sk_live_1", true), ("rk_live_1", true), ("sk_test_1", false), ("rk_test_1", false)]
    {
        let stripe = Stripe::new(key, None, TIMEOUT).unwrap();
        assert_eq!(stripe.is_live_key(), live);
        assert!(!format!("{stripe:?}").contains(key), "the key must not be shown");
    }
}
