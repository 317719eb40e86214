//! From the facts to verdicts and postings: everything is recomputed from all facts, nothing is kept.

use crate::judge::{Fact, Judgement, What, judge};
use crate::pricing::list_price;
use crate::{Amount, Attempt, Charges, Contract, Cost, Kind, Rule, Traffic, cost, nanos};
use std::collections::BTreeMap;

/// What the rules make of the traffic at a time. All facts are taken as known; only for the invoices of the past
/// it matters since when.
pub struct Oracle<'a> {
    pub(crate) traffic: &'a Traffic,
    pub(crate) now: i64,
    pub(crate) facts_from: i64,
    pub(crate) cases: Vec<Case<'a>>,
}

pub(crate) struct Case<'a> {
    pub customer: &'a str,
    pub name: &'a str,
    pub episodes: Vec<Episode<'a>>,
}

/// A judged episode; those without an attempt are left out.
pub(crate) struct Episode<'a> {
    pub name: String,
    pub attempts: Vec<&'a Attempt>,
    pub judgement: Judgement<'a>,
    /// Whether it has entries.
    pub charged: bool,
    pub disputes: Vec<Dispute>,
}

/// A dispute of an episode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dispute {
    /// The id of the fact that raised it.
    pub id: String,
    /// Whether it was accepted; `None` while it is open.
    pub accepted: Option<bool>,
}

/// A win, settled or on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JudgedWin {
    /// `confirmed` or `assumed`.
    pub kind: &'static str,
    /// From when on it is charged.
    pub settles_at: i64,
    /// The id of its deciding answer among the facts.
    pub answer: String,
    /// The id of the fact that speaks for it: silence has none, a planned handoff is its own.
    pub evidence: Option<String>,
    /// What the outcome is worth: nanos and their currency.
    pub value: Option<(i64, String)>,
}

/// All that is held of an episode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// `start`, or the id of the fact that re-opened the case.
    pub episode: String,
    /// `pending`, `confirmed`, `assumed`, `failed` or `void`.
    pub verdict: &'static str,
    /// Why it failed or is void.
    pub reason: Option<&'static str>,
    /// When it settled, was taken back or was given up; none while pending.
    pub decided_at: Option<i64>,
    /// The win that is, was taken back, or is on its way.
    pub win: Option<JudgedWin>,
    /// The id of the fact that refused the win or took it back.
    pub taker: Option<String>,
    /// Whether it has entries, priced or parked.
    pub charged: bool,
    /// In order.
    pub disputes: Vec<Dispute>,
}

/// An episode's name, its verdict (`pending`, `confirmed`, `assumed`, `failed` or `void`) and the reason.
pub type Verdict = (String, &'static str, Option<&'static str>);

/// One entry of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posting {
    /// `start`, or the id of the fact that re-opened the case.
    pub episode: String,
    /// +1 for a charge, -1 for a void.
    pub sign: i8,
    /// `confirmed` or `assumed`.
    pub kind: &'static str,
    /// The deciding answer's.
    pub action: String,
    /// The deciding answer's.
    pub agent: String,
    /// The deciding answer's.
    pub model: String,
    /// When it counts.
    pub effective_at: i64,
    /// The effective time of the charge, for a void too.
    pub origin: i64,
    /// What the outcome is worth: nanos and their currency; of a void too.
    pub value: Option<(i64, String)>,
    /// The list price, with the sign: a void's is negative.
    pub amount_nanos: i64,
    /// The contract version's.
    pub currency: String,
    /// The version that priced the charge.
    pub contract_version: u32,
}

impl<'a> Oracle<'a> {
    /// Judges all cases as of `now`. The traffic holds each fact once.
    pub fn new(traffic: &'a Traffic, now: i64) -> Self {
        let mut facts: BTreeMap<(&str, &str), Vec<Fact>> = BTreeMap::new();
        for attempt in &traffic.attempts {
            let what = What::Attempt(attempt);
            let fact = Fact { at: attempt.ended_at, id: attempt.fact_id(), what };
            facts.entry((&attempt.customer, &attempt.case)).or_default().push(fact);
        }
        for resolution in &traffic.resolutions {
            let what = What::Resolution(resolution);
            let fact = Fact { at: resolution.occurred_at, id: resolution.fact_id(), what };
            facts.entry((&resolution.customer, &resolution.case)).or_default().push(fact);
        }
        let mut cases = Vec::new();
        for ((customer, name), mut facts) in facts {
            facts.sort_by(|a, b| (a.at, a.id.as_bytes()).cmp(&(b.at, b.id.as_bytes())));
            let rule = rule_of(traffic, customer, &facts);
            let mut episodes = episodes(&rule, &facts, now);
            charge(&rule, &mut episodes);
            cases.push(Case { customer, name, episodes });
        }
        Self { traffic, now, facts_from: i64::MIN, cases }
    }

    /// No fact is known before that time: periods that are closed earlier are closed without.
    pub fn with_facts_from(self, facts_from: i64) -> Self {
        Self { facts_from, ..self }
    }

    /// The cost of each attempt, by (customer, attempt id).
    pub fn costs(&self) -> BTreeMap<(String, String), Cost> {
        let mut costs = BTreeMap::new();
        for attempt in &self.traffic.attempts {
            costs.insert((attempt.customer.clone(), attempt.id.clone()), cost(attempt));
        }
        costs
    }

    /// Per (customer, case) its episodes in order: name, verdict and reason. Episodes without an attempt have
    /// none; neither have cases without one.
    pub fn verdicts(&self) -> BTreeMap<(String, String), Vec<Verdict>> {
        let mut verdicts: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for case in &self.cases {
            for episode in &case.episodes {
                let Judgement { verdict, reason, .. } = episode.judgement;
                let key = (case.customer.to_owned(), case.name.to_owned());
                verdicts.entry(key).or_default().push((episode.name.clone(), verdict, reason));
            }
        }
        verdicts
    }

    /// Per (customer, case) its episodes in order, with all that is held of them; those without an attempt are
    /// left out.
    pub fn judged(&self) -> BTreeMap<(String, String), Vec<Judged>> {
        let mut judged: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for case in &self.cases {
            for episode in &case.episodes {
                let Judgement { verdict, reason, at, win, taker, .. } = episode.judgement.clone();
                let key = (case.customer.to_owned(), case.name.to_owned());
                judged.entry(key).or_default().push(Judged {
                    episode: episode.name.clone(),
                    verdict,
                    reason,
                    decided_at: (verdict != "pending").then_some(at),
                    win: win.map(|win| JudgedWin {
                        kind: win.kind,
                        settles_at: win.settles_at,
                        answer: win.answer.fact_id(),
                        evidence: win.evidence,
                        value: worth(win.value),
                    }),
                    taker,
                    charged: episode.charged,
                    disputes: episode.disputes.clone(),
                });
            }
        }
        judged
    }

    /// Per (customer, case) the entries that hold, by episode, a charge before its void. What no contract
    /// version or price covers is parked and not here.
    pub fn postings(&self) -> BTreeMap<(String, String), Vec<Posting>> {
        let mut postings: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for case in &self.cases {
            for episode in &case.episodes {
                for posting in self.entries(case, episode) {
                    let key = (case.customer.to_owned(), case.name.to_owned());
                    postings.entry(key).or_default().push(posting);
                }
            }
        }
        postings
    }

    /// How many charges are parked: no contract version, no price, or no value that a price is a share of.
    pub fn parked(&self) -> usize {
        let unpriced = |case: &Case| {
            let charged = case.episodes.iter().filter(|episode| episode.charged);
            charged.filter(|episode| self.entries(case, episode).is_empty()).count()
        };
        self.cases.iter().map(unpriced).sum()
    }

    pub(crate) fn entries(&self, case: &Case, episode: &Episode) -> Vec<Posting> {
        let judgement = &episode.judgement;
        let Some(win) = &judgement.win else { return Vec::new() };
        if !episode.charged {
            return Vec::new();
        }
        let Some(contract) = in_force(&self.traffic.contracts, case.customer, win.settles_at) else {
            return Vec::new();
        };
        let Some(price) = contract.prices.iter().find(|price| price.action == win.answer.action) else {
            return Vec::new();
        };
        let value = worth(win.value);
        let Some(amount_nanos) = list_price(price, win.kind, &contract.currency, value.as_ref()) else {
            return Vec::new();
        };
        let charge = Posting {
            episode: episode.name.clone(),
            sign: 1,
            kind: win.kind,
            action: win.answer.action.clone(),
            agent: win.answer.agent.clone(),
            model: win.answer.model.clone(),
            effective_at: win.settles_at,
            origin: win.settles_at,
            value,
            amount_nanos,
            currency: contract.currency.clone(),
            contract_version: contract.version,
        };
        if judgement.verdict != "void" {
            return vec![charge];
        }
        let amount_nanos = -charge.amount_nanos;
        let void = Posting { sign: -1, effective_at: judgement.at, amount_nanos, ..charge.clone() };
        vec![charge, void]
    }
}

fn worth(value: Option<&Amount>) -> Option<(i64, String)> {
    value.map(|value| (nanos(&value.amount), value.currency.clone()))
}

/// The contract version in force at a time.
pub(crate) fn in_force<'a>(contracts: &'a [Contract], customer: &str, at: i64) -> Option<&'a Contract> {
    contracts
        .iter()
        .filter(|contract| contract.customer == customer && contract.effective_from <= at)
        .max_by_key(|contract| (contract.effective_from, contract.version))
}

fn rule_of(traffic: &Traffic, customer: &str, facts: &[Fact]) -> Rule {
    let earliest = facts.iter().find_map(Fact::attempt);
    let contract = earliest.and_then(|attempt| in_force(&traffic.contracts, customer, attempt.ended_at));
    contract.map_or_else(Rule::default, |contract| contract.rule.clone())
}

fn episodes<'a>(rule: &Rule, facts: &[Fact<'a>], now: i64) -> Vec<Episode<'a>> {
    let mut episodes = Vec::new();
    let mut name = "start".to_owned();
    let mut facts_of_episode = Vec::new();
    for fact in facts {
        if fact.is(Kind::Reopened) {
            episodes.extend(episode(rule, &name, &facts_of_episode, Some(fact), facts, now));
            name.clone_from(&fact.id);
            facts_of_episode.clear();
        } else {
            facts_of_episode.push(fact.clone());
        }
    }
    episodes.extend(episode(rule, &name, &facts_of_episode, None, facts, now));
    episodes
}

fn episode<'a>(
    rule: &Rule,
    name: &str,
    facts: &[Fact<'a>],
    closing: Option<&Fact<'a>>,
    facts_of_case: &[Fact<'a>],
    now: i64,
) -> Option<Episode<'a>> {
    let decided = disputes(name, facts, facts_of_case);
    let accepts = |fact: &&Fact| {
        let decides = |decision: &&Fact| decision.id == fact.id;
        fact.is(Kind::DisputeAccepted)
            && decided.iter().any(|(_, decision)| decision.as_ref().is_some_and(decides))
    };
    let accepted = facts_of_case.iter().find(accepts);
    let dispute = |(raised, decision): &(&Fact, Option<&Fact>)| Dispute {
        id: raised.id.clone(),
        accepted: decision.map(|decision| decision.is(Kind::DisputeAccepted)),
    };
    Some(Episode {
        name: name.to_owned(),
        attempts: facts.iter().filter_map(Fact::attempt).collect(),
        judgement: judge(rule, facts, closing, accepted, now)?,
        charged: false,
        disputes: decided.iter().map(dispute).collect(),
    })
}

/// RULES, "Disputes": those of an episode, each with the fact that decided it.
fn disputes<'f, 'a>(
    episode: &str,
    facts: &[Fact],
    facts_of_case: &'f [Fact<'a>],
) -> Vec<(&'f Fact<'a>, Option<&'f Fact<'a>>)> {
    let about = |fact: &Fact| fact.resolution().and_then(|resolution| resolution.about.clone());
    let is_decision = |fact: &Fact| fact.is(Kind::DisputeAccepted) || fact.is(Kind::DisputeRejected);
    let mut disputes = Vec::new();
    for raised in facts_of_case.iter().filter(|fact| fact.is(Kind::Disputed)) {
        let is_of_episode = match about(raised) {
            Some(about) => about == episode,
            None => facts.iter().any(|fact| fact.id == raised.id),
        };
        if is_of_episode {
            let decides = |fact: &&Fact| is_decision(fact) && about(fact).as_ref() == Some(&raised.id);
            disputes.push((raised, facts_of_case.iter().find(decides)));
        }
    }
    disputes
}

/// RULES, "Outcomes: what is posted".
fn charge(rule: &Rule, episodes: &mut [Episode]) {
    let mut won = false;
    for episode in episodes {
        let verdict = episode.judgement.verdict;
        let in_the_way = won && rule.charges == Charges::OnceACase;
        episode.charged = matches!(verdict, "confirmed" | "assumed" | "void") && !in_the_way;
        won |= matches!(verdict, "confirmed" | "assumed");
    }
}
