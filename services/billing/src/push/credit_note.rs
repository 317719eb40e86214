//! A credit note's way: its invoice as it stands, the credit notes that are on it, then one more.

use super::{Failure, Push, not_now};
use crate::stripe::{
    Credit, CreditNoteState, InvoiceState, InvoiceStatus, LineState, NewCreditNote, Split, StripeError,
};
use verdict_domain::contract::{CreditTo, Tax};
use verdict_store::invoices::{self, Invoice};

/// What a credit note is made from. It may change under our hands: somebody pays, or credits something else.
#[derive(PartialEq, Eq)]
struct Basis {
    invoice: InvoiceState,
    notes: Vec<CreditNoteState>,
}

impl Push<'_> {
    pub(super) async fn carry_credit_note(&self, note: &Invoice) -> Result<String, Failure> {
        let Some(corrects) = &note.corrects else {
            return Err(Failure::Wrong(
                "it does not say which invoice it corrects".into(),
                "Credit it at Stripe by hand, then settle this".into(),
            ));
        };
        let corrected = self.document(corrects).await?;
        let Some(stripe_invoice) = &corrected.stripe_id else {
            return Err(Failure::Wrong(
                format!("it is not known which of Stripe's invoices `{corrects}` is"),
                "Credit it at Stripe by hand, then settle this".into(),
            ));
        };
        let amount = note.total_minor.saturating_neg();
        if amount == 0 {
            return Ok("nothing_to_credit".into());
        }
        let basis = self.basis(stripe_invoice).await?;
        let made = basis.notes.iter().find(|made| made.verdict_credit_note.as_ref() == Some(&note.id));
        let made = match made {
            Some(made) => made.clone(),
            None => self.make_credit_note(note, corrects, &basis, amount).await?,
        };
        let tx = self.store.begin().await?;
        invoices::set_stripe_invoice(&tx, &note.id, &made.id, &made.status).await?;
        tx.commit().await?;
        let there = if corrected.terms.tax == Tax::Automatic { made.before_tax } else { made.total };
        if there != amount {
            return Err(Failure::Wrong(
                format!("Stripe's credit note {} comes to {there}, ours to {amount}", made.id),
                "Credit the difference at Stripe by hand, then settle this".into(),
            ));
        }
        Ok(made.status)
    }

    /// The invoice first, then its credit notes: one of ours that is still on its way was split by the invoice as it was
    /// before, so that by now it is either in the list or does not add up any more and is refused.
    async fn basis(&self, stripe_invoice: &str) -> Result<Basis, Failure> {
        let invoice = self.stripe.get_invoice(stripe_invoice).await?;
        let notes = self.stripe.list_credit_notes(stripe_invoice).await?;
        Ok(Basis { invoice, notes })
    }

    async fn make_credit_note(
        &self,
        note: &Invoice,
        corrects: &str,
        basis: &Basis,
        amount: i64,
    ) -> Result<CreditNoteState, Failure> {
        let invoice = &basis.invoice;
        match invoice.status {
            InvoiceStatus::Open | InvoiceStatus::Paid => {}
            InvoiceStatus::Draft => {
                return Err(not_now(format!("Stripe's invoice {} is not finalised yet", invoice.id)));
            }
            InvoiceStatus::Void | InvoiceStatus::Uncollectible => {
                return Err(Failure::Wrong(
                    format!(
                        "Stripe's invoice {} is {}, and nothing can be credited on it",
                        invoice.id,
                        invoice.status.as_str()
                    ),
                    format!(
                        "Decide what the customer is to get back (where `{corrects}` was never paid: nothing), see to it \
                         at Stripe by hand, then settle this"
                    ),
                ));
            }
        }
        let memo = format!("Credit for what {corrects} charged and was taken back since ({})", note.id);
        let (credit, total) = match note.terms.tax {
            Tax::None => (Credit::Whole { amount_minor: amount, description: describe(note) }, amount),
            Tax::Automatic => {
                let lines = self.stripe.list_lines(&invoice.id).await?;
                let lines = spread(amount, &lines, &basis.notes).ok_or_else(|| {
                    Failure::Wrong(
                        format!(
                            "the lines of Stripe's invoice {} have no {amount} left to credit",
                            invoice.id
                        ),
                        "Credit it at Stripe by hand, then settle this".into(),
                    )
                })?;
                let total = self.stripe.preview_credit_note(&invoice.id, &lines).await?;
                (Credit::Lines(lines), total)
            }
        };
        let new = NewCreditNote {
            stripe_invoice: &invoice.id,
            verdict_credit_note: &note.id,
            memo: &memo,
            credit: &credit,
            split: split(total, invoice, note.terms.credit_to),
        };
        // By what is sent: where the invoice has changed since, it is another call.
        let key = self.key(&self.errand.id, &format!("credit-note {:?} {:?}", new.credit, new.split)).await?;
        match self.stripe.create_credit_note(&key, &new).await {
            Ok(made) => Ok(made),
            Err(StripeError::Refused { message, .. }) if self.basis(&invoice.id).await? != *basis => {
                Err(not_now(format!("the invoice changed meanwhile: {message}")))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// The one line of a credit note.
fn describe(note: &Invoice) -> String {
    match note.lines.as_slice() {
        [line] => format!("{} x {}, taken back", line.quantity.abs(), line.item),
        lines => format!("{} corrections", lines.len()),
    }
}

/// What goes where of a credit note on an invoice as it stands: what is unpaid is lowered first. A refund goes as far as
/// what was paid through Stripe; what was paid otherwise goes to the balance.
fn split(total: i64, invoice: &InvoiceState, credit_to: CreditTo) -> Split {
    let paid = (total - invoice.remaining.clamp(0, total)).max(0);
    let refund = match credit_to {
        CreditTo::Balance => 0,
        CreditTo::Refund => paid.min(invoice.refundable),
    };
    Split { balance: paid - refund, refund }
}

/// Spreads an amount over the lines of an invoice, by what earlier credit notes left of each. `None`: it does not fit.
fn spread(amount: i64, lines: &[LineState], notes: &[CreditNoteState]) -> Option<Vec<(String, i64)>> {
    let credited = |id: &str| -> i64 {
        let standing = notes.iter().filter(|note| note.status != "void");
        standing.flat_map(|note| &note.lines).filter(|(line, _)| line == id).map(|(_, amount)| amount).sum()
    };
    let mut left = amount;
    let mut parts = Vec::new();
    for line in lines.iter().rev() {
        let part = (line.amount_minor - credited(&line.id)).min(left);
        if part > 0 {
            parts.push((line.id.clone(), part));
            left -= part;
        }
    }
    (left == 0).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invoice(remaining: i64, refundable: i64) -> InvoiceState {
        let (id, status) = ("in_1".into(), InvoiceStatus::Open);
        InvoiceState { id, status, total: 1_000, before_tax: 1_000, remaining, refundable }
    }

    #[test]
    fn what_was_paid_is_given_back_and_what_was_not_is_lowered() {
        for (total, remaining, refundable, to, expected) in [
            (300, 1_000, 0, CreditTo::Refund, (0, 0)),
            (300, 300, 700, CreditTo::Refund, (0, 0)),
            (300, 100, 900, CreditTo::Balance, (200, 0)),
            (300, 100, 900, CreditTo::Refund, (0, 200)),
            (300, 0, 1_000, CreditTo::Balance, (300, 0)),
            // Paid in part outside of Stripe, or by the customer's balance.
            (300, 0, 120, CreditTo::Refund, (180, 120)),
            (300, 0, 0, CreditTo::Refund, (300, 0)),
        ] {
            let Split { balance, refund } = split(total, &invoice(remaining, refundable), to);
            assert_eq!((balance, refund), expected, "{total} of {remaining} unpaid, {to:?}");
        }
    }

    #[test]
    fn a_taxed_credit_is_spread_over_what_is_left_of_the_lines() {
        let line = |id: &str, amount_minor| LineState { id: id.into(), amount_minor };
        // Newest first, as Stripe lists them.
        let lines = [line("c", 50), line("b", -20), line("a", 100)];
        let note = |status: &str, parts: &[(&str, i64)]| CreditNoteState {
            id: "cn_1".into(),
            verdict_credit_note: None,
            status: status.into(),
            total: 0,
            before_tax: 0,
            lines: parts.iter().map(|(id, amount)| (id.to_string(), *amount)).collect(),
        };
        let parts = |amount, notes: &[CreditNoteState]| spread(amount, &lines, notes);
        assert_eq!(parts(30, &[]), Some(vec![("a".into(), 30)]));
        assert_eq!(parts(120, &[]), Some(vec![("a".into(), 100), ("c".into(), 20)]));
        assert_eq!(parts(151, &[]), None);
        let before = [note("issued", &[("a", 90)]), note("void", &[("a", 10), ("c", 50)])];
        assert_eq!(parts(30, &before), Some(vec![("a".into(), 10), ("c".into(), 20)]));
        assert_eq!(parts(61, &before), None);
    }
}
