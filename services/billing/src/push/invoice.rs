//! An invoice's way: customer, draft, lines, check of the total, finalise.

use super::{Failure, Push};
use crate::stripe::{Collection, InvoiceState, InvoiceStatus, NewCustomer, NewInvoice, NewItem};
use verdict_domain::contract::{Collect, Tax};
use verdict_domain::invoice::Line;
use verdict_domain::judge::WinKind;
use verdict_domain::pricing::Item;
use verdict_store::invoices::{self, Invoice};
use verdict_store::{outbox, stripe_events};

/// A line as Stripe shows it.
fn describe(invoice: &Invoice, line: &Line) -> String {
    let of = match line.period_start == invoice.period.start {
        true => String::new(),
        false => format!(", correction for the period from {}", line.period_start),
    };
    match &line.item {
        Item::Outcomes { .. } => format!("{} x {}{of}", line.quantity, line.item),
        item => format!("{item}{of}"),
    }
}

impl Push<'_> {
    pub(super) async fn carry_invoice(&self, invoice: &Invoice) -> Result<String, Failure> {
        let stripe_customer = self.customer(invoice).await?;
        let mut state = self.draft(invoice, &stripe_customer).await?;
        if state.status == InvoiceStatus::Draft {
            let there = self.stripe.list_items(&state.id).await?;
            for line in &invoice.lines {
                if there.iter().any(|item| item.line == Some(line.number)) {
                    continue;
                }
                let item = NewItem {
                    stripe_customer: &stripe_customer,
                    stripe_invoice: &state.id,
                    verdict_invoice: &invoice.id,
                    line: line.number,
                    amount_minor: line.minor,
                    currency: invoice.currency.code(),
                    description: &describe(invoice, line),
                    quantity: line.quantity,
                    action: line.item.name().unwrap_or_else(|| line.item.sort()),
                    kind: line.item.win().map_or_else(|| line.item.sort(), WinKind::as_str),
                    tax_on_top: invoice.terms.tax == Tax::Automatic,
                };
                let key = self.key(&self.errand.id, &format!("line-{}", line.number)).await?;
                self.stripe.add_item(&key, &item).await?;
            }
            state = self.stripe.get_invoice(&state.id).await?;
            check_total(invoice, &state)?;
            if state.status == InvoiceStatus::Draft {
                let key = self.key(&self.errand.id, "finalize").await?;
                state = self.stripe.finalize_invoice(&key, &state.id).await?;
            }
        }
        check_total(invoice, &state)?;
        Ok(state.status.as_str().into())
    }

    /// Stripe's customer for ours: as stored, else as found, else a new one; with this invoice's name and e-mail address,
    /// unless it was given those of a later one.
    async fn customer(&self, invoice: &Invoice) -> Result<String, Failure> {
        let ours = &invoice.customer;
        let tx = self.store.snapshot().await?;
        let linked = stripe_events::linked(&tx, ours).await?;
        drop(tx);
        let id = match linked {
            // Never a second one by itself: it may have been deleted for a reason.
            Some(linked) if linked.deleted_at.is_some() => {
                let gone = &linked.stripe_customer;
                return Err(Failure::Wrong(
                    format!("Stripe's customer {gone} was deleted there"),
                    format!(
                        "Make or choose another at Stripe, then `verdict customers link {ours} cus_…`, and replay"
                    ),
                ));
            }
            Some(linked) => linked.stripe_customer,
            None => self.new_customer(invoice).await?,
        };
        let given = outbox::given(self.store, ours).await?;
        let is_up_to_date = given.is_some_and(|given| {
            given.period_start > invoice.period.start || given.bill_to.as_ref() == Some(&invoice.bill_to)
        });
        if !is_up_to_date {
            let key = self.key(&self.errand.id, "bill-to").await?;
            self.stripe.update_customer(&key, &id, &invoice.bill_to.name, &invoice.bill_to.email).await?;
            let tx = self.store.begin().await?;
            outbox::set_given(&tx, ours, &invoice.bill_to, invoice.period.start).await?;
            tx.commit().await?;
        }
        Ok(id)
    }

    async fn new_customer(&self, invoice: &Invoice) -> Result<String, Failure> {
        let ours = &invoice.customer;
        // Nothing there is older than our first try for this customer; clocks may differ by an hour.
        let first = outbox::first_push(self.store, ours).await?;
        let since = first.map_or(0, |at| at.0 / 1_000_000 - 3_600);
        let found = self.stripe.find_customer(ours, since).await?;
        let is_new = found.is_none();
        let id = match found {
            Some(id) => id,
            None => {
                let new = NewCustomer {
                    verdict_customer: ours,
                    name: &invoice.bill_to.name,
                    email: Some(&invoice.bill_to.email),
                };
                // By customer, not by errand: two invoices of one customer must not make two of it.
                let about = format!("{ours}\n{}\n{}", invoice.bill_to.name, invoice.bill_to.email);
                let key = self.key(&about, "customer").await?;
                self.stripe.create_customer(&key, &new).await?
            }
        };
        let tx = self.store.begin().await?;
        outbox::set_stripe_customer(&tx, ours, &id).await?;
        if is_new {
            outbox::set_given(&tx, ours, &invoice.bill_to, invoice.period.start).await?;
        }
        tx.commit().await?;
        Ok(id)
    }

    /// Stripe's invoice for ours: as stored, else as found, else a new draft.
    async fn draft(&self, invoice: &Invoice, stripe_customer: &str) -> Result<InvoiceState, Failure> {
        if let Some(id) = &invoice.stripe_id {
            return Ok(self.stripe.get_invoice(id).await?);
        }
        let state = match self.stripe.find_invoice(stripe_customer, &invoice.id).await? {
            Some(state) => state,
            None => {
                let terms = &invoice.terms;
                let new = NewInvoice {
                    stripe_customer,
                    verdict_invoice: &invoice.id,
                    currency: invoice.currency.code(),
                    description: &format!("Outcomes from {} to {}", invoice.period.start, invoice.period.end),
                    collection: match terms.collect {
                        Collect::Send => Collection::SendInvoice { days_until_due: terms.days_until_due },
                        Collect::Charge => Collection::ChargeAutomatically,
                    },
                    automatic_tax: terms.tax == Tax::Automatic,
                };
                let key = self.key(&self.errand.id, "invoice").await?;
                self.stripe.create_invoice(&key, &new).await?
            }
        };
        let tx = self.store.begin().await?;
        invoices::set_stripe_invoice(&tx, &invoice.id, &state.id, state.status.as_str()).await?;
        tx.commit().await?;
        Ok(state)
    }
}

/// Stripe's tax comes on top of what we say; without it nothing does.
fn check_total(invoice: &Invoice, state: &InvoiceState) -> Result<(), Failure> {
    let (there, what) = match invoice.terms.tax {
        Tax::None => (state.total, ""),
        Tax::Automatic => (state.before_tax, " before tax"),
    };
    if there == invoice.total_minor {
        return Ok(());
    }
    let what = format!(
        "Stripe's invoice {} totals {there}{what}, ours {} (in minor units of {})",
        state.id,
        invoice.total_minor,
        invoice.currency.code()
    );
    Err(Failure::Wrong(what, "Mend it at Stripe, then replay".into()))
}
