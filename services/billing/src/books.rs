//! A customer's books: what its periods come to now, less what its documents say.

use std::collections::BTreeMap;
use verdict_domain::contract::{BillTo, Contract, in_force};
use verdict_domain::economics::{Bucket, Cell, Figures};
use verdict_domain::invoice::{Billed, Counted, Draft, Drawn, Key, Line, draft};
use verdict_domain::period::Period;
use verdict_domain::time::Timestamp;
use verdict_store::ledger::{Take, Touched};
use verdict_store::{StoreError, Tx, contracts, figures, grants, invoices, ledger};

/// A customer's contract, and its prepaid credits as they are drawn.
pub(crate) struct Books {
    customer: String,
    versions: Vec<Contract>,
    first: Contract,
}

/// A draft, and what it rests on.
pub(crate) struct Reckoned {
    /// What the periods come to, less what is billed.
    pub draft: Draft,
    /// What of them is on documents.
    pub periods: Vec<Counted>,
    /// What the lines of documents say of them.
    pub billed: BTreeMap<Key, Billed>,
}

impl Books {
    /// Those of a customer who has a contract.
    pub async fn open(tx: &Tx, customer: &str) -> Result<Self, StoreError> {
        let of_customers = contracts::of_customers(tx, [customer].into_iter()).await?;
        let versions = of_customers.into_values().next().unwrap_or_default();
        let first =
            versions.iter().min_by_key(|contract| (contract.effective_from, contract.version)).cloned();
        let first = first.ok_or_else(|| {
            StoreError::Corrupt(format!("customer `{customer}` has a period but no contract"))
        })?;
        Ok(Self { customer: customer.into(), versions, first })
    }

    /// All versions of the contract.
    pub fn versions(&self) -> &[Contract] {
        &self.versions
    }

    /// The version whose terms hold for what is written when a period closes: the last one in it.
    pub fn terms(&self, period: Period) -> &Contract {
        in_force(&self.versions, Timestamp(period.end.0 - 1)).unwrap_or(&self.first)
    }

    /// Who gets the invoice of a period: what the latest version says that had begun when it ended.
    pub fn bill_to(&self, period: Period) -> &BillTo {
        &in_force(&self.versions, period.end).unwrap_or(&self.first).bill_to
    }

    /// The same without the versions that were put after a moment; `None` if none is left.
    pub fn without(&self, later: impl Fn(&Contract) -> bool) -> Option<Self> {
        let versions: Vec<Contract> =
            self.versions.iter().filter(|contract| !later(contract)).cloned().collect();
        let first =
            versions.iter().min_by_key(|contract| (contract.effective_from, contract.version)).cloned()?;
        Some(Self { customer: self.customer.clone(), versions, first })
    }

    /// What the periods come to with all that is on documents, less what the lines of documents say of them. Posts as revenue
    /// what their lines then differ from list prices; a trial has none.
    pub async fn draft(&self, tx: &Tx, touched: &[Touched]) -> Result<Draft, StoreError> {
        let Reckoned { draft, periods, billed } = self.reckon(tx, touched).await?;
        let mut revenue = BTreeMap::new();
        for counted in &periods {
            let before = billed.iter().filter(|((start, ..), _)| *start == counted.period.start);
            let before = before.map(|(_, before)| before.nanos);
            let lines = draft.lines.iter().filter(|line| line.period_start == counted.period.start);
            let lines = lines.map(|line| line.amount.nanos);
            let listed = counted.counts.values().flat_map(|counts| counts.outcomes.values());
            let listed = listed.map(|tally| tally.listed.checked_neg());
            let beyond = before.chain(lines).map(Some).chain(listed);
            let beyond = beyond.into_iter().try_fold(0_i64, |sum, nanos| sum.checked_add(nanos?));
            let beyond =
                beyond.ok_or_else(|| StoreError::Refused("the revenue of a period overflows".into()))?;
            let beyond = if counted.trial { 0 } else { beyond };
            if let Some((cell, more)) = self.more_revenue(tx, counted.period, beyond).await? {
                let sum: &mut Figures = revenue.entry(cell).or_default();
                *sum = sum
                    .plus(more)
                    .ok_or_else(|| StoreError::Refused("the revenue of a period overflows".into()))?;
            }
        }
        figures::add(tx, revenue).await?;
        Ok(draft)
    }

    /// The same, and what it rests on; only reads.
    pub async fn reckon(&self, tx: &Tx, touched: &[Touched]) -> Result<Reckoned, StoreError> {
        let (customer, currency) = (self.customer.as_str(), self.first.currency);
        let (mut periods, mut billed) = (Vec::with_capacity(touched.len()), BTreeMap::new());
        for Touched { period, trial } in touched {
            let counts = ledger::counted(tx, customer, *period).await?;
            periods.push(Counted { period: *period, trial: *trial, counts });
            billed.extend(invoices::billed(tx, customer, period.start).await?);
        }
        let grants: Vec<Drawn> = grants::of_customer(tx, customer).await?;
        let draft = draft(currency, &self.versions, &periods, &billed, &grants)
            .map_err(|error| StoreError::Corrupt(format!("the bill of `{customer}`: {error}")))?;
        Ok(Reckoned { draft, periods, billed })
    }

    /// Takes back what was posted of a period that is a trial now.
    pub async fn without_revenue(&self, tx: &Tx, period: Period) -> Result<(), StoreError> {
        figures::add(tx, self.more_revenue(tx, period, 0).await?.into_iter().collect()).await
    }

    /// Outcomes count as revenue at their list prices until they are invoiced: what their period's lines differ from that is
    /// posted on the period's last day. What is more of it than was posted before.
    async fn more_revenue(
        &self,
        tx: &Tx,
        period: Period,
        beyond_list: i64,
    ) -> Result<Option<((String, Cell), Figures)>, StoreError> {
        let more = contracts::set_beyond_list(tx, &self.customer, period, beyond_list).await?;
        if more == 0 {
            return Ok(None);
        }
        let cell = Cell {
            day: Timestamp(period.end.0 - 1).day(),
            agent: "-".into(),
            provider: "-".into(),
            model: "-".into(),
            action: "-".into(),
            currency: self.first.currency.code().into(),
            bucket: Bucket::Revenue,
            reason: "-".into(),
        };
        let figures = Figures { revenue_nanos: more, ..Figures::default() };
        Ok(Some(((self.customer.clone(), cell), figures)))
    }

    /// Writes the lines of a draft about its own period anew, from all that is priced by now. Its other lines stay.
    pub async fn redraft(&self, tx: &Tx, id: &str, now: Timestamp) -> Result<(), StoreError> {
        let Some(mut invoice) = invoices::find_in(tx, id).await? else { return Ok(()) };
        let period = invoice.period;
        let about_others = |line: &Line| line.period_start != period.start;
        let others: Vec<Line> = invoice.lines.into_iter().filter(about_others).collect();
        invoices::drop_lines(tx, id).await?;
        ledger::put_on_invoice(tx, &self.customer, period, id, Take::OfPeriod).await?;
        let draft = self.draft(tx, &[Touched { period, trial: false }]).await?;
        invoice.lines = others.into_iter().chain(draft.lines).collect();
        for (line, number) in invoice.lines.iter_mut().zip(1..) {
            line.number = number;
        }
        let total = invoice.lines.iter().try_fold(0_i64, |sum, line| sum.checked_add(line.minor));
        invoice.total_minor =
            total.ok_or_else(|| StoreError::Refused(format!("the total of invoice `{id}` overflows")))?;
        invoice.drafted_at = now;
        invoices::redraft(tx, &invoice).await
    }
}
