//! The verdict of an episode in one sentence: who decided what, when, and because of which rule. Pure.

use super::words::{Note, source, source_aside, span, time};
use verdict_domain::attempt::Status;
use verdict_domain::fact::{Fact, ResolutionKind};
use verdict_domain::judge::{Episode, LossReason, Verdict, Win, WinKind};
use verdict_domain::money::Money;
use verdict_domain::pricing::Free;
use verdict_domain::rule::{Assumed, Reopen, RestartedBy, Rule, SilenceFrom};
use verdict_domain::time::Timestamp;
use verdict_store::history::{InLine, On};

/// What a sentence is about.
pub(crate) struct About<'a> {
    /// All facts of the case.
    pub facts: &'a [Fact],
    /// What is known beside, fact by fact.
    pub notes: &'a [Note],
    /// The rule of the case.
    pub rule: &'a Rule,
    /// The episode.
    pub episode: &'a Episode,
    /// The episode before it that is won and charged, if there is one.
    pub charged_before: Option<&'a str>,
    /// When it is given up, for a pending episode that nothing speaks for.
    pub given_up_at: Option<Timestamp>,
    /// What was billed.
    pub charge: Charge<'a>,
}

/// What is said of the charge of an episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Charge<'a> {
    /// Nothing: it is not known here.
    Untold,
    /// It is about to be posted.
    Due,
    /// It is posted, and no contract or price covers it (or its price needs a value that is not told).
    Unpriced,
    /// It is charged.
    Charged {
        /// At this list price.
        listed: Money,
        /// On what.
        on: &'a On,
        /// Whether the list price is what the line of the invoice charges for it.
        is_its_price: bool,
        /// Why it is not billed, if it is not.
        free: Option<Free>,
    },
}

/// The sentence.
pub(crate) fn sentence(about: &About) -> String {
    let episode = about.episode;
    match (episode.verdict, episode.win.as_ref()) {
        (None, _) => "Nothing to judge: no attempt is recorded in this episode.".into(),
        (Some(Verdict::Pending), Some(win)) => about.pending(win),
        (Some(Verdict::Pending), None) => {
            let given_up = about.given_up_at.map(|at| format!(" on {}", time(at))).unwrap_or_default();
            format!("Pending: nothing speaks for a win yet; unless that changes, it fails{given_up}.")
        }
        (Some(Verdict::Won(_)), Some(win)) => about.won(win),
        (Some(Verdict::Void(reason)), Some(win)) => about.void(win, reason),
        (Some(Verdict::Failed(reason)), _) => about.failed(reason),
        // The judge keeps the win of what it calls won.
        (Some(Verdict::Won(_) | Verdict::Void(_)), None) => "Won.".into(),
    }
}

impl About<'_> {
    fn source(&self, at: usize) -> String {
        source(&self.facts[at], &self.notes[at])
    }

    fn at(&self, fact: usize) -> String {
        time(self.facts[fact].at)
    }

    fn is_planned_handoff(&self, win: &Win) -> bool {
        self.facts[win.answer].ended(Status::HandedOff)
    }

    /// What the outcome is worth, and who says so: `, worth 120 EUR by …`.
    fn worth(&self, win: &Win) -> String {
        let value = win.valued.and_then(|at| Some((at, self.facts[at].value()?)));
        value.map_or_else(String::new, |(at, value)| format!(", worth {value} by {}", self.source(at)))
    }

    /// `Confirmed by …`, `Assumed: …`.
    fn how_won(&self, win: &Win) -> String {
        match win.kind {
            WinKind::Confirmed if self.is_planned_handoff(win) => {
                let action = self.facts[win.answer].attempt().map_or("", |attempt| &attempt.action);
                format!(
                    "Confirmed by {}, the handover to a human that `{action}` plans for, on {}",
                    self.source(win.answer),
                    self.at(win.answer)
                )
            }
            WinKind::Confirmed => {
                let evidence = win.evidence.unwrap_or(win.answer);
                format!("Confirmed by {} on {}", self.source(evidence), self.at(evidence))
            }
            WinKind::Assumed => format!("Assumed: {}", self.silence(win)),
        }
    }

    /// What the silence of an assumed win was.
    fn silence(&self, win: &Win) -> String {
        let (window, answer) = (span(self.rule.silence_window), self.answer(win));
        let word = win
            .evidence
            .map(|said| (said, format!("{} counted it as solved on {}", self.source(said), self.at(said))));
        let silence = match self.rule.silence_from {
            SilenceFrom::FirstActivity => {
                format!("when {window} had passed since the episode began, the last word was {answer}")
            }
            SilenceFrom::LastActivity => {
                // Under `platform` the win may settle later than the silence was over.
                let nothing = self.nothing();
                match self.last_activity_before(win) {
                    Some(last) if last != win.answer => format!(
                        "for {window} after {} on {} {nothing} came; what stands is {answer}",
                        self.source(last),
                        self.at(last)
                    ),
                    _ => format!("{nothing} followed {answer} for {window}"),
                }
            }
        };
        match word {
            Some((_, word)) => format!("{word}, and {silence}"),
            None => silence,
        }
    }

    fn answer(&self, win: &Win) -> String {
        format!("the answer {} of {}", self.source(win.answer), self.at(win.answer))
    }

    /// What would have begun the silence anew.
    fn nothing(&self) -> &'static str {
        match self.rule.restarted_by {
            RestartedBy::Answers => "no other attempt",
            RestartedBy::Messages => "no message and no other attempt",
            RestartedBy::Everything => "no message, no thank-you and no other attempt",
        }
    }

    /// The activity whose silence made the win.
    fn last_activity_before(&self, win: &Win) -> Option<usize> {
        let is_activity = |at: usize| {
            let fact = &self.facts[at];
            let message = fact.is(ResolutionKind::Message) && self.rule.restarted_by != RestartedBy::Answers;
            let thanks =
                fact.is(ResolutionKind::Acknowledged) && self.rule.restarted_by == RestartedBy::Everything;
            fact.attempt().is_some() || message || thanks
        };
        let by = match win.evidence {
            Some(said) => self.facts[said].at,
            None => Timestamp(win.settles_at.0.saturating_sub(self.rule.silence_window.0)),
        };
        (win.answer..self.episode.facts.end).rfind(|at| is_activity(*at) && self.facts[*at].at <= by)
    }

    fn won(&self, win: &Win) -> String {
        let settled = match win.kind {
            WinKind::Confirmed if self.rule.confirmed_settles_after.0 > 0 => {
                format!("{} later, on {}", span(self.rule.confirmed_settles_after), time(win.settles_at))
            }
            WinKind::Confirmed => "at once".into(),
            WinKind::Assumed => format!("on {}", time(win.settles_at)),
        };
        let won = self.how_won(win);
        if self.episode.charged {
            let (worth, charged) = (self.worth(win), self.charged(", and "));
            return format!("{won}; it settled {settled}{worth}{charged}{}.", self.free());
        }
        match self.charged_before {
            Some(before) => format!(
                "Won, but not charged: the case is charged once, and episode `{before}` is won. ({won}; it settled {settled}.)"
            ),
            None => format!("{won}; it settled {settled}, but it is not charged."),
        }
    }

    fn charged(&self, and: &str) -> String {
        match self.charge {
            Charge::Untold => String::new(),
            Charge::Due => format!("{and}is about to be charged"),
            Charge::Unpriced => {
                ", but it is not charged: it has no price, and is parked with what would give it one".into()
            }
            Charge::Charged { listed, on, is_its_price, free } => {
                format!("{and}{}", charged_on(listed, on, is_its_price && free.is_none()))
            }
        }
    }

    /// Why the period's price leaves out what was charged.
    fn free(&self) -> &'static str {
        match self.charge {
            Charge::Charged { free: Some(Free::Trial), .. } => "; the period is a trial, so it is free",
            Charge::Charged { free: Some(Free::Included), .. } => {
                "; it is one of those that the price includes in each period, so it is free"
            }
            Charge::Charged { free: Some(Free::Cap), .. } => {
                "; those before it in the period come to the cap already, so it is free"
            }
            Charge::Charged { free: Some(Free::ZeroPrice), .. } => "; its price is 0, so it is free",
            _ => "",
        }
    }

    fn void(&self, win: &Win, reason: LossReason) -> String {
        let won = match win.kind {
            WinKind::Confirmed => lower(&self.how_won(win)),
            WinKind::Assumed => format!("assumed ({})", self.silence(win)),
        };
        let settled = time(win.settles_at);
        let taken = self.episode.taker.map_or_else(String::new, |taker| self.taken(taker, reason));
        let (charged, back) = match (self.episode.charged, self.charge) {
            (false, _) => (String::new(), "; it was never charged"),
            (true, Charge::Charged { .. }) => (self.charged(" and "), ", and the charge was taken back"),
            (true, Charge::Unpriced) => (String::new(), "; it never had a price"),
            (true, Charge::Untold | Charge::Due) => (String::new(), ", and it was taken back"),
        };
        format!(
            "Void: it was {won}, had settled on {settled}{}{charged}; then {taken}{back}.",
            self.worth(win)
        )
    }

    /// Who took a win back or refused it: `the customer came back (`…`) on …`.
    fn taken(&self, taker: usize, reason: LossReason) -> String {
        let (source, at) = (source_aside(&self.facts[taker], &self.notes[taker]), self.at(taker));
        match reason {
            LossReason::Handoff if self.facts[taker].attempt().is_some() => {
                format!("the agent handed over to a human {source} on {at}")
            }
            LossReason::Handoff => format!("a human was asked for, or stepped in {source}, on {at}"),
            LossReason::NegativeFeedback => {
                let said = self.facts[taker].resolution();
                match said.and_then(|said| said.score).zip(self.rule.low_score) {
                    Some((score, low)) if self.facts[taker].is(ResolutionKind::Rated) => format!(
                        "the customer gave a score of {score}, where {low} and less is negative feedback {source}, on {at}"
                    ),
                    _ => format!("there was negative feedback {source} on {at}"),
                }
            }
            LossReason::Reopened => format!("the customer came back {source} on {at}"),
            LossReason::Dispute => {
                let of = self.facts[taker].resolution().and_then(|said| said.about.as_deref());
                format!("the dispute `{}` was accepted {source} on {at}", of.unwrap_or("?"))
            }
            LossReason::NoAnswer | LossReason::Unresolved => format!("{source} on {at}"),
        }
    }

    fn failed(&self, reason: LossReason) -> String {
        if let Some(taker) = self.episode.taker {
            return format!("Failed: {}, before anything had settled.", self.taken(taker, reason));
        }
        let given_up = self.episode.decided_at.map(|at| format!("; it was given up on {}", time(at)));
        let why = match reason {
            LossReason::NegativeFeedback => {
                "negative feedback refuted the answers, and none after it won".into()
            }
            LossReason::NoAnswer => "the agent never gave a real answer".into(),
            _ => match self.rule.assumed {
                Assumed::Never => {
                    "it was answered but never confirmed, and this rule counts nothing else".into()
                }
                Assumed::Platform => format!(
                    "it was answered, but nothing confirmed that, and the platform did not count {} of silence as solved",
                    span(self.rule.silence_window)
                ),
                Assumed::Silence => format!(
                    "it was answered, but nothing confirmed that, and the answer did not stand for {} as the last word",
                    span(self.rule.silence_window)
                ),
            },
        };
        format!("Failed: {why}{}.", given_up.unwrap_or_default())
    }

    fn pending(&self, win: &Win) -> String {
        let settles = time(win.settles_at);
        let mut unless = vec!["a human steps in", "there is negative feedback"];
        if self.rule.reopen == Reopen::Void {
            unless.push("the customer comes back");
        }
        match win.kind {
            WinKind::Confirmed => {
                let won = lower(&self.how_won(win));
                format!("Pending: {won}; it settles on {settles} unless {} before.", one_of(&unless))
            }
            WinKind::Assumed => {
                unless.insert(
                    0,
                    match (self.rule.silence_from, self.rule.restarted_by) {
                        (SilenceFrom::LastActivity, RestartedBy::Answers) => "there is another attempt",
                        (SilenceFrom::LastActivity, RestartedBy::Messages) => {
                            "there is a message or another attempt"
                        }
                        (SilenceFrom::LastActivity, RestartedBy::Everything) => "anything is written",
                        (SilenceFrom::FirstActivity, _) => "another word is the last",
                    },
                );
                let answer = self.answer(win);
                format!(
                    "Pending: it settles on {settles}, assumed for {answer}, unless {} before.",
                    one_of(&unless)
                )
            }
        }
    }
}

/// At which price something was charged: as the line of the invoice says it, where there is one.
fn charged_on(listed: Money, on: &On, is_its_price: bool) -> String {
    match on {
        On::Invoice { id, .. } if is_its_price => format!("was charged {listed} on invoice `{id}`"),
        On::Invoice { id, line: Some(InLine { number, quantity, amount, why }) } => format!(
            "counts in line {number} of invoice `{id}`: {quantity} for {amount} ({why}); its list price is {listed}"
        ),
        On::Invoice { id, line: None } => format!(
            "was charged, at its list price of {listed}, on invoice `{id}`, where nothing is left of it and others like it"
        ),
        On::NoneYet => format!("was charged, at its list price of {listed}, for the next invoice"),
        On::NothingToBill => {
            format!("was charged, at its list price of {listed}, but there was nothing to bill in its period")
        }
    }
}

/// With its first letter in lower case.
fn lower(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

fn one_of(things: &[&str]) -> String {
    match things {
        [all @ .., last] if !all.is_empty() => format!("{} or {last}", all.join(", ")),
        all => all.join(""),
    }
}
